package lambda

import "maps"

// Tags returns the tags of every function that has some, by its ARN.
func (l *Lambda) Tags() map[string]map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]map[string]string{}
	for _, f := range l.functions {
		if len(f.Tags) > 0 {
			out[f.arn] = maps.Clone(f.Tags)
		}
	}
	return out
}
