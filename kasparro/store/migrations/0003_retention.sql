-- min_code: 0.1.0

-- chores: one row is one thing that some process does once a day; claimed_until says that one is at it.
create table chores (
    name text primary key,
    done_at timestamptz,
    claimed_until timestamptz
);

-- Every run that is pruned is looked for here.
create index runs_by_resumed_from on runs (resumed_from) where resumed_from is not null;
