-- Triggers look into the ledger's own tables, whatever temporary ones a session has made with their names.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'never', 'events_are_only_appended', 'log_head_only_follows_the_events', 'people_changed'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
