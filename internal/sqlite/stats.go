package sqlite

import "sync/atomic"

type counters struct {
	commits, updates, reruns, checkpoints atomic.Int64
}

// Stats counts since Open.
type Stats struct {
	Commits     int64 // synced transactions
	Updates     int64 // calls of Update they answered
	Reruns      int64 // fns run again alone after their batch was lost
	Checkpoints int64 // passes that copied the log into the file
	Syncs       int64 // syncs of the log and the file
}

// Stats for the metrics and the benchmark.
func (db *DB) Stats() Stats {
	return Stats{
		Commits:     db.stats.commits.Load(),
		Updates:     db.stats.updates.Load(),
		Reruns:      db.stats.reruns.Load(),
		Checkpoints: db.stats.checkpoints.Load(),
		Syncs:       db.disk.state.syncs.Load(),
	}
}
