-- A run that cannot be computed has no folder; its reason is said here. The others are complete.
with
failed as (
    select string_agg(error, chr(10) || chr(10) order by run_id) as errors
    from {{ ref('run_artifacts') }}
    where status = 'failed'
)

select *
from failed
where case when errors is not null then error(errors) end
-- after publishing, so that a failed run keeps no other one out of the catalog
-- depends_on: {{ ref('catalog') }}
