-- One row: the experiments of this invocation as they were given, as JSON text. This is the only
-- model that reads a variable; `runs` turns the text into typed rows.
select
    '{{ tojson(var("experiments", [])) | replace("'", "''") }}' as experiments_json,
    '{{ var("experiments_file", "") | replace("'", "''") }}' as experiments_file
