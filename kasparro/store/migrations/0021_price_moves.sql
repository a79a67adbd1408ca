-- min_code: 0.1.0

-- A verdict of its own for prices that moved far when there was no history to compare with.
alter table anomalies
    drop constraint anomalies_rule_check,
    add constraint anomalies_rule_check
    check (rule in ('history', 'min_records', 'freshness', 'partial_pages', 'price_move'));
