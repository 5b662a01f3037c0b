-- The journal: one row per fact, in the order of the chain. Times are nanoseconds (UTC since 1970,
-- and since boot); `payload` is the very JSON text that `hash` covers.
CREATE TABLE fact (
    seq     INTEGER PRIMARY KEY,
    utc     INTEGER NOT NULL,
    boot    INTEGER NOT NULL,
    boot_id TEXT    NOT NULL,
    clock   TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    payload TEXT    NOT NULL,
    prev    BLOB    NOT NULL,
    hash    BLOB    NOT NULL
) STRICT;

-- Checkpoints are looked up at every start; the other kinds are read in order.
CREATE INDEX fact_checkpoint ON fact (seq) WHERE kind = 'checkpoint';

-- Append-only: a slip of ours must fail here, not be found months later by the chain.
CREATE TRIGGER fact_is_never_changed BEFORE UPDATE ON fact
BEGIN
    SELECT RAISE(ABORT, 'facts are never changed');
END;
CREATE TRIGGER fact_is_never_deleted BEFORE DELETE ON fact
BEGIN
    SELECT RAISE(ABORT, 'facts are never deleted');
END;
