"""The parts of the load job (``glue/load.py``), shipped to Glue in the zip of `xacct deploy`.

Modules in the order in which a load uses them: `pipes`, `s3`, `catalog`, `source_files`, `headers`,
`bad_files`, `settings`, `own_count`, `records`, `column_sql`, `validation`, `counts`, `verdicts`,
`rejects`, `staging`, `failures`.
"""
