-- One row per complete run in the runs folder, as published in the warehouse.
select *  -- noqa: AM04
from read_parquet('{{ warehouse_folder() }}/catalog.parquet')
-- depends_on: {{ ref('warehouse') }}
