package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// methods that a route may have. ANY is not supported.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// CheckRouteKey returns what is wrong with the key of a route, or not supported:
// a method, a space and a path, of which a part in braces is a parameter. ANY,
// $default and greedy parameters ({proxy+}) are not supported.
func CheckRouteKey(key string) error {
	method, path, ok := strings.Cut(key, " ")
	if !ok || !slices.Contains(methods, method) {
		return fmt.Errorf("route key %q is not supported by the local environment: want a method, such as GET, and a path", key)
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("route key %q: the path must begin with a slash", key)
	}
	seen := map[string]bool{}
	for _, part := range strings.Split(path[1:], "/") {
		name, isParameter := parameter(part)
		switch {
		case strings.HasSuffix(name, "+"):
			return fmt.Errorf("route key %q: the greedy parameter {%s} is not supported by the local environment", key, name)
		case isParameter && (name == "" || seen[name]):
			return fmt.Errorf("route key %q: parameter {%s} is there twice, or has no name", key, name)
		case !isParameter && strings.ContainsAny(part, "{}"):
			return fmt.Errorf("route key %q: %q is neither a parameter nor a text", key, part)
		}
		seen[name] = isParameter
	}
	return nil
}

// parameter returns the name in the braces of a part of a path.
func parameter(part string) (name string, ok bool) {
	if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") {
		return part[1 : len(part)-1], true
	}
	return "", false
}

// match finds the route of a request, and the values of its parameters, decoded.
// Of several that match, the one whose first difference is a text, and not a
// parameter, is the most specific. A part of a path is split off before it is
// decoded: an encoded slash does not divide. An empty part is no parameter.
func (a *api) match(method, path string) (Route, map[string]string, bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return Route{}, nil, false
		}
		parts[i] = decoded
	}
	var best Route
	var bestShape string
	var bestValues map[string]string
	for _, route := range a.routes {
		wanted, pattern, _ := strings.Cut(route.Key, " ")
		if wanted != method {
			continue
		}
		values, shape, ok := fits(strings.Split(strings.TrimPrefix(pattern, "/"), "/"), parts)
		if ok && shape > bestShape {
			best, bestShape, bestValues = route, shape, values
		}
	}
	return best, bestValues, bestShape != ""
}

// fits compares the parts of a route's path with those of a request's. The shape
// has a letter for each part, and is the greater the more specific.
func fits(pattern, parts []string) (values map[string]string, shape string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, "", false
	}
	for i, want := range pattern {
		name, isParameter := parameter(want)
		switch {
		case isParameter && parts[i] != "":
			if values == nil {
				values = map[string]string{}
			}
			values[name] = parts[i]
			shape += "p"
		case !isParameter && want == parts[i]:
			shape += "t"
		default:
			return nil, "", false
		}
	}
	return values, shape, true
}
