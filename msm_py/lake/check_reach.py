"""Whether market caps are what a run takes them for, and what a run would have of a lake.

A market cap in millions, or one of BTC under another name, breaks no rule of the contract and
leaves every basket empty.
"""

from __future__ import annotations

from typing import Final

from msm_py.lake.check_items import FACTS, Item, Tables, Verdict, listed, sql_text
from msm_py.lake.check_pitfalls import MAJORS, excluded_assets
from msm_py.lake.contract import LEAST_MARKETCAP_USD, LEAST_VOLUME_USD

FEW: Final = 20  # alts: a basket, unless an experiment says otherwise
_COINS: Final = (1e7, 2.2e7)  # of BTC: between 2013 and the last one ever
_SCALES: Final = {1e-3: "thousands", 1e-6: "millions", 1e-9: "billions"}
_NAMES: Final = {
    "BTC": ("bitcoin", "xbt", "btcusd", "btcusdt", "btc-usd", "btc/usdt", "btc-usdt"),
    "ETH": ("ethereum", "ether", "ethusd", "ethusdt", "eth-usd", "eth/usdt", "eth-usdt"),
}
_EFFECTS: Final = {
    "fact_marketcap": "btc_dominance has no value",
    "fact_supply": "its market cap is not made of closes and supplies",
    "fact_volume": "liquidity lacks its volume",
    "fact_funding": "positions in it pay no funding, and funding features lack it",
    "fact_open_interest": "it weighs nothing in funding features",
    "fact_price": "long legs with it have no price",
}


def majors(check: Tables, name: str) -> list[Item]:
    """Tables without a row of BTC or ETH, though other assets have rows."""
    if name not in FACTS:
        return []
    assets = {row[0] for row in check.rows(f"select distinct asset_id from {name}")}
    missing = [major for major in MAJORS if major not in assets]
    if not missing or not assets:
        return [Item(name, "majors", "ok", "BTC and ETH are there")] if assets else []
    folded = {str(asset).strip().casefold(): asset for asset in assets if asset is not None}
    likely = {
        major: [folded[other] for other in _NAMES[major] if other in folded] for major in missing
    }
    detail = f"no row of {' and '.join(missing)}: {_EFFECTS[name]}"
    renamed = [f"{others[0]} to {major}" for major, others in likely.items() if others]
    remedy = (
        f"ids are yours, but BTC is called BTC and ETH is called ETH in all tables: rename "
        f"{' and '.join(renamed)}"
        if renamed
        else f"add {' and '.join(missing)} to the table"
    )
    # without BTC's market cap or its name there is no benchmark; without the rest, less of a run
    is_fatal = bool(renamed) or (name == "fact_marketcap" and "BTC" in missing)
    return [Item(name, "majors", "fail" if is_fatal else "warn", detail, remedy)]


def scale(check: Tables, name: str) -> list[Item]:
    """Market caps in thousands or millions: BTC's would make another number of coins."""
    if name != "fact_marketcap":
        return []
    coins = check.one(
        """
        select median(m.value / p.value)
        from fact_marketcap as m inner join fact_price as p using (asset_id, date)
        where m.reason is null and p.reason is null and asset_id = 'BTC'
        """
    )[0]
    for factor, words in _SCALES.items():
        if coins is not None and _COINS[0] * factor <= coins <= _COINS[1] * factor:
            return [
                Item(
                    name,
                    "scale",
                    "fail",
                    f"BTC's market cap / close is {coins:.3g}, and there are some 19 million "
                    f"coins: market caps are in {words} of USD",
                    f"multiply them by {1 / factor:,.0f}: experiments ask for "
                    f"{LEAST_MARKETCAP_USD:,.0f} USD unless they say otherwise",
                )
            ]
    return [Item(name, "scale", "ok", "that of BTC is not off by thousands or millions")]


def reach(check: Tables, name: str) -> list[Item]:
    """How many alts an experiment with default settings would have, by year."""
    tables = check.lake.tables
    if name != "fact_price" or not {"fact_marketcap", "fact_supply"} & set(tables):
        return []
    left_out = ", ".join(map(sql_text, sorted(excluded_assets(check) | set(MAJORS))))
    rows = check.rows(
        f"""
        with large as (
            select asset_id, date from closes
            semi join (select * from caps where value >= {LEAST_MARKETCAP_USD})
                using (asset_id, date)
            semi join (
                select * from fact_volume where reason is null and value >= {LEAST_VOLUME_USD}
            ) using (asset_id, date)
            where asset_id not in ({left_out})
        ),
        eligible as (
            select alts.date, coalesce(large.n, 0) as n
            from (select distinct date from closes where asset_id not in ({left_out})) as alts
            left join (select date, count(*) as n from large group by date) as large using (date)
        )
        select year(date), median(n) from eligible group by year(date) order by year(date)
        """
    )
    n_large, n_assets = check.one(
        f"""
        select count(*) filter (largest >= {LEAST_MARKETCAP_USD}), count(*) from (
            select asset_id, largest
            from (select distinct asset_id from closes where asset_id not in ({left_out}))
            left join (select asset_id, max(value) as largest from caps group by asset_id)
                using (asset_id)
        )
        """
    )
    by_year = listed((f"{year}: {n:.0f}" for year, n in rows), 30)
    limit = f"min_mcap_usd ({LEAST_MARKETCAP_USD:,.0f})"
    detail = (
        f"{n_large:,} of {n_assets:,} alts ever reach {limit}; eligible on the median day of a "
        f"year, with volume: {by_year or 'none'}"
    )
    most = max((n for _, n in rows), default=0)
    verdict: Verdict = "fail" if n_large == 0 else "warn" if most < FEW else "ok"
    remedy = None
    if verdict != "ok":
        remedy = (
            "baskets are empty and runs stay flat"
            if n_large == 0
            else f"baskets of {FEW} are never full"
        ) + ": mend the market caps, add assets, or set universe.min_mcap_usd lower"
    return [Item(name, "what runs have", verdict, detail, remedy)]
