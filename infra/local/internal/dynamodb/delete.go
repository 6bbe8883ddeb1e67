package dynamodb

import "github.com/penstock-dev/penstock/infra/local/internal/store"

// Exists reports whether there is a table with the given name.
func (s *Service) Exists(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tables[name] != nil
}

// DeleteTable removes a table, its items and its stream, and returns how many
// items there were. One that does not exist is not an error.
func (s *Service) DeleteTable(name string) (items int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return 0, nil
	}
	for _, err := range s.store.Scan(store.Prefix(t.items)) {
		if err != nil {
			return 0, err
		}
		items++
	}
	b := s.store.NewBatch()
	b.Delete(tableKey().String(name))
	b.DeleteRange(t.items, t.items.After())
	if t.stream != nil {
		t.stream.remove(b)
	}
	if err := b.Commit(); err != nil {
		return 0, err
	}
	if t.stream != nil {
		t.stream.close()
	}
	delete(s.tables, name)
	return items, nil
}
