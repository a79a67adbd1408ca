-- min_code: 0.1.0

-- The file that a quote is of, null for one of an API: whether a row contradicts its own file must not depend on what
-- was pruned. Quotes from before are of the file that their raw record was first seen in, as long as it is kept.
alter table quotes add column file text;
