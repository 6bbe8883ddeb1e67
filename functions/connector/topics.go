package connector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// functionMap is what a connector knows of the functions. It does not change.
type functionMap struct {
	all    []Function // of every namespace, by name
	mapped []Function // those that are invoked for topics
	built  time.Time
}

// matching returns the functions to invoke for a topic, each once.
func (m *functionMap) matching(match Matcher, topic string) []Function {
	var out []Function
	for _, f := range m.mapped {
		if slices.ContainsFunc(f.Topics, func(declared string) bool { return match(topic, declared) }) {
			out = append(out, f)
		}
	}
	return out
}

// named returns the function of a name, with or without its namespace.
func (m *functionMap) named(name string) (Function, error) {
	short, namespace, qualified := strings.Cut(name, ".")
	i := slices.IndexFunc(m.all, func(f Function) bool { return f.Name == short && (!qualified || f.Namespace == namespace) })
	if i < 0 {
		return Function{}, fmt.Errorf("connector: no function %q: it must have \"topics\" or a \"namespace\" in its function.json, and be deployed", name)
	}
	return m.all[i], nil
}

// Rebuild reads the map of topics anew, at once. If that fails, the connector
// goes on with the map that it had, and the error says why.
func (c *Connector) Rebuild(ctx context.Context) error {
	c.rebuilding.Lock()
	defer c.rebuilding.Unlock()
	all, err := c.cfg.Source.Functions(ctx)
	if err != nil {
		err = fmt.Errorf("connector: building the map of topics: %w", err)
		c.lastFault.Store(&err)
		return err
	}
	slices.SortFunc(all, func(a, b Function) int { return strings.Compare(a.FullName(), b.FullName()) })
	m := &functionMap{all: all, built: time.Now()}
	for _, f := range all {
		if c.cfg.Namespace == "" || f.Namespace == c.cfg.Namespace {
			m.mapped = append(m.mapped, f)
		}
	}
	c.functions.Store(m)
	c.lastFault.Store(nil)
	return nil
}

func (c *Connector) rebuildAtIntervals() {
	ticker := time.NewTicker(c.cfg.RebuildInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.open.Done():
			return
		case <-ticker.C:
		}
		attempt, done := context.WithTimeout(c.open, c.cfg.Timeout)
		if err := c.Rebuild(attempt); err != nil && c.open.Err() == nil {
			c.cfg.Logger.Error("the map of topics stays as it was", "error", err, "built", c.functions.Load().built)
		}
		done()
	}
}

// Rebuilt tells when the map was read that is in use, the zero time if there is
// none yet, and why no later one is: nil, or the error of the last Rebuild.
func (c *Connector) Rebuilt() (time.Time, error) {
	var built time.Time
	if m := c.functions.Load(); m != nil {
		built = m.built
	}
	if fault := c.lastFault.Load(); fault != nil {
		return built, *fault
	}
	return built, nil
}

// Topics are what functions have declared, within Config.Namespace: sorted, each
// once. None before Start.
func (c *Connector) Topics() []string {
	m := c.functions.Load()
	if m == nil {
		return nil
	}
	var out []string
	for _, f := range m.mapped {
		out = append(out, f.Topics...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
