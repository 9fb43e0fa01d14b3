// trivydb writes a vulnerability database in Trivy's own format: `trivydb PLACE < entries.json`.
//
// The entries are a list of {"path": [bucket, ..., key], "value": ...}; each value is stored as JSON at its path. What
// the buckets mean is said in tests/lab/trivy_database.py, so that this program needs no knowledge of Trivy.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

type entry struct {
	Path  []string        `json:"path"`
	Value json.RawMessage `json:"value"`
}

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(place string) error {
	var entries []entry
	if err := json.NewDecoder(os.Stdin).Decode(&entries); err != nil {
		return err
	}
	db, err := bbolt.Open(place, 0o644, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bbolt.Tx) error {
		for _, one := range entries {
			if err := put(tx, one); err != nil {
				return err
			}
		}
		return nil
	})
}

func put(tx *bbolt.Tx, one entry) error {
	last := len(one.Path) - 1
	bucket, err := tx.CreateBucketIfNotExists([]byte(one.Path[0]))
	for _, name := range one.Path[1:last] {
		if err != nil {
			return err
		}
		bucket, err = bucket.CreateBucketIfNotExists([]byte(name))
	}
	if err != nil {
		return err
	}
	return bucket.Put([]byte(one.Path[last]), one.Value)
}
