-- One row per complete run in the runs folder, as published in the warehouse.
select *  -- noqa: AM04
from read_parquet({{ published_file('catalog.parquet') }}, hive_partitioning = false)
-- depends_on: {{ ref('warehouse') }}
