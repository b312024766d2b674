-- add_messages, and with it records: in one commit, or none of it. The parameters are those of add_messages and put_records.
create or replace function add_messages_and_records(
    p_shard integer, p_owner_id text, p_conversation_id text, p_fields json, p_fork_of text, p_fork_at bigint, p_fork_records text,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_create boolean, p_existing boolean, p_if_version bigint,
    p_idempotency_key text, p_fingerprint bytea,
    p_has_intent boolean, p_epoch bigint, p_is_valid boolean, p_want_window boolean, p_capacity integer, p_generation text,
    p_keys text[], p_values bytea[], p_types text[], p_conditions bigint[],
    out outcome text, out row_epoch bigint,
    out stored_ids text[], out stored_seqs bigint[], out stored_ats bigint[], out stored_bodies text[], out s snapshot,
    out record_revisions bigint[])
    language plpgsql as $$
declare
    done record;
begin
    done := add_messages(p_shard, p_owner_id, p_conversation_id, p_fields, p_fork_of, p_fork_at, p_fork_records,
        p_ids, p_ids_in_bodies, p_bodies, p_create, p_existing, p_if_version, p_idempotency_key, p_fingerprint,
        p_has_intent, p_epoch, p_is_valid, p_want_window, p_capacity, p_generation);
    outcome := done.outcome;
    row_epoch := done.row_epoch;
    stored_ids := done.stored_ids;
    stored_seqs := done.stored_seqs;
    stored_ats := done.stored_ats;
    stored_bodies := done.stored_bodies;
    s := done.s;
    record_revisions := write_records_with_messages(p_shard, p_owner_id, p_conversation_id, outcome = 'stored', outcome = 'duplicate',
        p_keys, p_values, p_types, p_conditions, p_idempotency_key);
end $$;

-- replace_messages, in the same way.
create or replace function replace_messages_and_records(
    p_shard integer, p_owner_id text, p_conversation_id text, p_after bigint,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_if_version bigint,
    p_idempotency_key text, p_fingerprint bytea,
    p_has_intent boolean, p_epoch bigint, p_capacity integer, p_generation text,
    p_keys text[], p_values bytea[], p_types text[], p_conditions bigint[],
    out outcome text, out row_epoch bigint, out removed bigint,
    out stored_ids text[], out stored_seqs bigint[], out stored_ats bigint[], out stored_bodies text[], out s snapshot,
    out record_revisions bigint[])
    language plpgsql as $$
declare
    done record;
    nothing_to_do boolean;
begin
    done := replace_messages(p_shard, p_owner_id, p_conversation_id, p_after, p_ids, p_ids_in_bodies, p_bodies, p_if_version,
        p_idempotency_key, p_fingerprint, p_has_intent, p_epoch, p_capacity, p_generation);
    outcome := done.outcome;
    row_epoch := done.row_epoch;
    removed := done.removed;
    stored_ids := done.stored_ids;
    stored_seqs := done.stored_seqs;
    stored_ats := done.stored_ats;
    stored_bodies := done.stored_bodies;
    s := done.s;
    -- Of the messages, and not since it was done before.
    nothing_to_do := outcome = 'duplicate' and stored_ids is null and p_ids = '{}';
    record_revisions := write_records_with_messages(p_shard, p_owner_id, p_conversation_id, outcome = 'replaced' or nothing_to_do,
        outcome = 'duplicate', p_keys, p_values, p_types, p_conditions, p_idempotency_key);
end $$;
