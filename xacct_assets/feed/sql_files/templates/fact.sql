-- Written by `xacct feed sql {feed}` from the feed's defs.yaml.
-- {rows}
-- {distribution}
-- Sorted by day: replace, UNLOAD and range queries read only the blocks of their days.
CREATE TABLE IF NOT EXISTS {fact} (
{columns}
)
{attributes};
