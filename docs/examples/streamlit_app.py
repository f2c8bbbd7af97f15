"""The catalog in Streamlit: `streamlit run docs/examples/streamlit_app.py`.

It opens the warehouse file read-only for each question, so a run that was just published is there
at the next click. MSM_WAREHOUSE names another file.
"""

import os

import duckdb
import pandas as pd
import streamlit as st

WAREHOUSE = os.environ.get("MSM_WAREHOUSE", "warehouse/msm.duckdb")


def ask(sql: str, *values: str) -> pd.DataFrame:
    """Return the rows of a query."""
    with duckdb.connect(WAREHOUSE, read_only=True) as con:
        return con.execute(sql, values).df()


st.set_page_config("Market State Monitor", layout="wide")
st.title("Market State Monitor")
st.caption("Plus is good for the trade: long majors, short alts.")
board = ask("""
    select
        place, title, deflated_sharpe, net_sharpe, net_sharpe_ci_low, net_sharpe_ci_high,
        spread_trade_edge, spread_p_edge, spread_evidence, run_id
    from v_leaderboard order by place
""")
st.dataframe(board, hide_index=True)
run_id = st.selectbox("Run", board["run_id"])
state = ask("select * from v_latest_state_all where run_id = ?", run_id).iloc[0]
columns = st.columns([2, 1, 1])
columns[0].metric("State", state["regime"], f"for {state['regime_age_days']} days", "off")
columns[1].metric("Score", f"{state['score']:+.2f}")
columns[2].metric("Net Sharpe", f"{board.set_index('run_id').loc[run_id, 'net_sharpe']:.2f}")
days = ask("select * from v_equity_all where run_id = ? order by date", run_id)
st.line_chart(days, x="date", y=["equity_net", "equity_ungated", "equity_btc"])
states = ask("select * from v_state_returns_all where run_id = ? order by state_order", run_id)
st.bar_chart(states, x="regime", y="trade_edge", sort=False)
st.dataframe(ask("select * from v_basket_now_all where run_id = ? order by rank", run_id))
