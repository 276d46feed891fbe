package command

import (
	"fmt"
	"path/filepath"

	"adit/engine"
	"adit/engine/config"
)

// openStore opens what keeps the records of the run, and returns the first ids
// that its engine may give. A database that can't be opened costs the history,
// not the run.
func (r *run) openStore() (engine.RequestID, engine.ConnectionID) {
	open := r.process.OpenStore
	if open == nil {
		return 1, 1
	}
	c := &r.plan.store
	o := StoreOptions{
		Path: r.storePath(), Role: r.plan.role, Name: r.plan.name, Version: ShortVersion(r.process.Version),
		Captures: c.Captures, Age: c.Age, Rows: int64(c.Rows), Bytes: c.Bytes,
		Notice: func(text string) {
			r.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: engine.Bound(text)})
			r.component("history").Warn(text)
		},
		Logger: r.component("history"),

		FirstRequest: engine.RequestID(r.legacy.FirstRequest), FirstConnection: engine.ConnectionID(r.legacy.FirstConnection),
	}
	o.Beside = o.Path != "" && o.Path == r.legacy.Store // else it is a stranger who writes there
	s, err := open(o)
	if err != nil && o.Path != "" {
		r.notice(fmt.Sprintf("the history is kept in memory only: %v; --store=PATH chooses another place", err))
		o.Path = ""
		s, err = open(o)
	}
	r.tellSetting("store", o.Path)
	if err != nil {
		r.notice(fmt.Sprintf("no records are kept: %v", err))
		return 1, 1
	}
	r.store, r.stored = s, o.Path
	r.closers = append(r.closers, s.Close)
	return s.Next()
}

// storePath returns where the database of the run is, "" for nowhere.
func (r *run) storePath() string {
	path := r.plan.store.Path
	if path != config.OwnPlace {
		return path
	}
	dir, err := stateDir(r.process.LookupEnv)
	if err != nil || r.plan.role == "" {
		if r.process.LookupEnv != nil {
			r.notice(fmt.Sprintf("the history is kept in memory only: %v; --store=PATH says where", err))
		}
		return ""
	}
	return filepath.Join(dir, r.ownFile(".db"))
}

// ownFile returns the name of a file of the run.
func (r *run) ownFile(ext string) string { return fileName(r.plan.role+"-"+r.plan.name) + ext }

// keep begins to record e, which does not serve yet.
func (r *run) keep(e engine.Engine) (engine.RequestLog, error) {
	if r.store == nil {
		return nil, nil
	}
	log, err := r.store.Keep(e)
	if err != nil {
		return nil, fmt.Errorf("keep records: %w", err)
	}
	return log, nil
}

// tellSetting has a setting shown with the value that came of it.
func (r *run) tellSetting(name, value string) {
	if value == "" {
		value = config.None
	}
	if r.told == nil {
		r.told = map[string]string{}
	}
	r.told[name] = value
	r.setTold(r.plan.settings)
}

// setTold puts into settings what came of them.
func (r *run) setTold(settings []engine.Setting) {
	for i := range settings {
		if value, is := r.told[settings[i].Name]; is {
			settings[i].Value = value
		}
	}
}
