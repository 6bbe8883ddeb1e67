package cloudformation

import "strings"

// sort puts the resources of a template in the order of their dependencies: those that DependsOn names, and those that
// functions in their properties refer to. Otherwise the order is that of the template.
func (p *parser) sort(t *Template) {
	byID := make(map[string]*resource, len(t.resources))
	for _, r := range t.resources {
		byID[r.LogicalID] = r
	}
	var (
		sorted  []*resource
		done    = map[*resource]bool{}
		path    []string // the resources being visited, each a dependency of the one before it
		visit   func(*resource) bool
		visited = map[*resource]bool{}
	)
	visit = func(r *resource) bool {
		if done[r] {
			return true
		}
		path = append(path, r.LogicalID)
		if visited[r] {
			for path[0] != r.LogicalID {
				path = path[1:]
			}
			p.fail("template", "resources depend on each other in a circle: %s", strings.Join(path, " → "))
			return false
		}
		visited[r] = true
		dependencies := append([]string(nil), r.dependsOn...)
		collect := func(name string) { dependencies = append(dependencies, name) }
		r.properties.references(collect)
		r.metadata.references(collect)
		for _, id := range dependencies {
			if dependency, ok := byID[id]; ok && !visit(dependency) {
				return false
			}
		}
		path = path[:len(path)-1]
		done[r] = true
		sorted = append(sorted, r)
		return true
	}
	for _, r := range t.resources {
		if !visit(r) {
			return
		}
	}
	t.resources = sorted
}
