-- Every start reads and verifies all facts in order, one at a time; no kind of fact is looked up.
DROP INDEX fact_checkpoint;
