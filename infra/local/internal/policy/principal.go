package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// principals are whom a statement of a resource's policy is about; any is the
// principal "*", none that there are none, as in a policy of an identity.
type principals struct {
	any, none bool
	aws       []string
	services  []string
}

func parsePrincipals(data json.RawMessage) (principals, error) {
	if len(data) == 0 {
		return principals{none: true}, nil
	}
	if string(data) == `"*"` {
		return principals{any: true}, nil
	}
	var kinds map[string]oneOrMany
	if err := json.Unmarshal(data, &kinds); err != nil {
		return principals{}, err
	}
	var p principals
	for kind, names := range kinds {
		switch kind {
		case "AWS":
			p.aws = names
			p.any = slices.Contains(names, "*")
		case "Service":
			p.services = names
		default:
			return principals{}, fmt.Errorf("kind %s is not supported by the local environment", kind)
		}
	}
	return p, nil
}

// include says whether the one who asks is named: Allowed, Delegated if it is
// the account that is, or Silent.
func (p *principals) include(r Request) Decision {
	if p.any {
		return Allowed
	}
	if r.Service != "" {
		if slices.Contains(p.services, r.Service) {
			return Allowed
		}
		return Silent
	}
	out := Silent
	for _, name := range p.aws {
		if slices.Contains(r.ARNs, name) {
			return Allowed
		}
		if name == r.Account || strings.HasSuffix(name, "::"+r.Account+":root") {
			out = Delegated
		}
	}
	return out
}
