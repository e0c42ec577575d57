package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/seglog"
)

// keptDir is the folder of the parameters that were set while the machine ran. It is a log of which the last record counts: what
// is damaged there leaves the one before.
const keptDir = "parameters"

// maxKept bounds a record of it.
const maxKept = 256 << 10

// kept are parameters that were set while the machine ran, by component and key.
type kept map[string]map[string]keptValue

// keptValue is one of them. It counts as long as the machine's file says for it what it did when it was set: who changes the file
// later means that.
type keptValue struct {
	Value string `json:"value"`
	Over  string `json:"over"`
}

// restore puts the parameters that were set in earlier boots into effect. Whatever is wrong with them does not keep the machine
// from starting: it begins with those of its file, and says so.
func (n *Node) restore() {
	n.kept = make(kept)
	k, err := n.readKept()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		n.keptTrouble("parameters that were set in an earlier boot cannot be read; those of the machine's file are in effect", err)
	}
	dropped := false
	for _, name := range slices.Sorted(maps.Keys(k)) {
		err := guarded(func() (err error) {
			all, err := n.restoreComponent(name, k[name])
			dropped = dropped || !all
			return err
		})
		if err != nil {
			n.keptTrouble("parameters of "+name+" that were set in an earlier boot are not taken; those of the machine's file are in effect", err)
		}
	}
	if dropped {
		n.writeWithout()
	}
}

func (n *Node) keptTrouble(what string, err error) {
	n.o.Logger.Error(what, "error", err)
	n.house.event(fulmar.Error, fmt.Sprintf("%s: %v", what, err))
	n.trouble.Store(&what)
}

func (n *Node) openKept() (*seglog.Log, error) {
	return seglog.Open(n.o.Disk, keptDir, seglog.Options{MaxRecord: maxKept, SegmentSize: 64 << 10})
}

func (n *Node) readKept() (k kept, err error) {
	if _, err := n.o.Disk.ReadDir(keptDir); err != nil {
		return nil, err // most machines have never had any
	}
	log, err := n.openKept()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var trouble error
	for i := log.First(); i < log.Next(); i++ {
		b, err := log.ReadAt(i, nil)
		var next kept
		if err == nil {
			err = json.Unmarshal(b, &next)
		}
		if err != nil {
			trouble = err
			continue
		}
		k, trouble = next, nil // what comes later counts
	}
	return k, errors.Join(trouble, log.Report().Unreadable)
}

// restoreComponent puts parameters of one component into effect. All is false if the file says something else for one of them than
// when it was set: that one is to be forgotten.
func (n *Node) restoreComponent(name string, set map[string]keptValue) (all bool, err error) {
	p := n.part(name)
	if p == nil || p.spec.Parameters == nil {
		return true, errors.New("there is no such component with parameters")
	}
	all = true
	now := textsOf(p.spec.Parameters.Values())
	texts, taken := make(map[string]string), make(map[string]keptValue)
	for _, key := range slices.Sorted(maps.Keys(set)) {
		v := set[key]
		if file, ok := now[key]; !ok || file != v.Over {
			n.o.Logger.Info("the machine's file has another value than when it was set: that one counts", "parameter", name+"."+key, "file", file, "set", v.Value)
			all = false
			continue
		}
		texts[key], taken[key] = v.Value, v
	}
	if len(taken) == 0 {
		return all, nil
	}
	values, err := p.spec.Parameters.Parse(p.spec.Parameters.Values(), config.Text(texts, "what was set"))
	if err == nil {
		err = p.spec.Parameters.Apply(values)
	}
	if err == nil {
		n.kept[name] = taken
	}
	return all, err
}

func textsOf(v any) map[string]string {
	m := make(map[string]string)
	for _, x := range config.ValuesOf(v) {
		m[x.Key] = x.Value
	}
	return m
}

// keep remembers on disk what the version in effect has set, after its probation.
func (n *Node) keep() {
	n.kept = n.remembered()
	n.version.set = nil
	if err := n.writeKept(); err != nil {
		n.keptTrouble("parameters that were set are in effect, and will not be after the next start", err)
	}
}

// remembered returns kept with what the version in effect has set, which is on its probation still.
func (n *Node) remembered() kept {
	all := make(kept, len(n.kept))
	for name, set := range n.kept {
		all[name] = maps.Clone(set)
	}
	for _, c := range changesOf(n.version.set) {
		if all[c.Component] == nil {
			all[c.Component] = make(map[string]keptValue)
		}
		over := c.From
		if before, ok := all[c.Component][c.Parameter]; ok {
			over = before.Over
		}
		all[c.Component][c.Parameter] = keptValue{Value: c.To, Over: over}
		if over == c.To {
			delete(all[c.Component], c.Parameter) // the file says so itself
		}
	}
	return all
}

// overlay puts what was set of a component over what the machine's file says, as long as that is the same as then.
func (p *part) overlay(file any, kept map[string]keptValue) (any, error) {
	now, set := textsOf(file), make(map[string]string)
	for key, v := range kept {
		if now[key] == v.Over {
			set[key] = v.Value
		}
	}
	return p.spec.Parameters.Parse(file, config.Text(set, "what was set"))
}

// forget drops what was set of parameters for which the machine's file says something else now.
func (n *Node) forget(changes []Change) {
	dropped := false
	for _, c := range changes {
		if _, ok := n.kept[c.Component][c.Parameter]; ok {
			delete(n.kept[c.Component], c.Parameter)
			dropped = true
		}
	}
	if dropped {
		n.writeWithout()
	}
}

// writeWithout forgets on disk what is not kept any more.
func (n *Node) writeWithout() {
	if err := n.writeKept(); err != nil {
		n.keptTrouble("parameters that were set once may come back at the next start", err)
	}
}

func (n *Node) writeKept() (err error) {
	b, err := json.Marshal(n.kept)
	if err != nil {
		return err
	}
	log, err := n.openKept()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	at, err := log.Append(b)
	if err != nil {
		return err
	}
	if err := log.Sync(); err != nil {
		return err
	}
	return log.TrimFront(max(at, 2) - 1) // the one before stays, in case that this one is damaged
}
