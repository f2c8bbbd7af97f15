-- One row: the variables of this invocation as they were given, as YAML text, which keeps dates
-- (JSON has none). This is the only model that reads variables; `runs` turns the text into typed
-- rows, and refuses names that it does not know.
select '{{ toyaml(invocation_args_dict.get("vars") or {}) | replace("'", "''") }}' as variables
