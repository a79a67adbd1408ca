-- min_code: 0.1.0

-- Records that were kept out before a rejection named its drift: for the newest one of that field which the run could see.
update rejections j
set drift_id = (
    select d.id
    from drifts d
    where d.source = j.source
    and d.details -> 'fields' ? j.field
    and (d.action in ('quarantined', 'failed') or (d.details ->> 'rescaled')::boolean)
    and d.first_run_id <= j.run_id
    order by d.id desc
    limit 1
)
where j.code = 'schema_drift'
and j.drift_id is null;
