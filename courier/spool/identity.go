package spool

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
)

// identitySize is 128 random bits: two spools that were not copied from one another never have the same.
const identitySize = 16

// identify returns the identity of the spool in a folder, and whether it was made just now because there is none, or none
// that is whole. It is durable on return. It has a log of its own, of one record: what is in the others comes and goes.
func identify(disk env.Disk, dir string, random io.Reader) (id string, made bool, err error) {
	log, err := seglog.Open(disk, dir+"/identity", seglog.Options{MaxRecord: identitySize})
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	// To go on with another identity because the disk does not return this one now would be to leave what belongs to it.
	if err := log.Report().Unreadable; err != nil {
		return "", false, err
	}
	for i := log.First(); i < log.Next(); i++ {
		b, err := log.ReadAt(i, nil)
		if err != nil && (!errors.Is(err, seglog.ErrDamaged) || seglog.Unreadable(err)) {
			return "", false, err
		}
		if err == nil && len(b) == identitySize {
			id = hex.EncodeToString(b)
		}
	}
	if id == "" {
		b := make([]byte, identitySize)
		if _, err := io.ReadFull(random, b); err != nil {
			return "", false, fmt.Errorf("make one: %w", err)
		}
		if _, err := log.Append(b); err != nil {
			return "", false, err
		}
		id, made = hex.EncodeToString(b), true
	}
	// Also what was there: whoever made it may have been killed before this.
	if log.Durable()+1 < log.Next() {
		err = log.Sync()
	}
	return id, made, err
}
