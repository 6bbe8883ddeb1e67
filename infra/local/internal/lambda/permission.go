package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// Permission is a statement of a function's resource policy: what a service may
// do with the function on behalf of a resource ("AddPermission").
type Permission struct {
	Function      string // its name or ARN
	Action        string // lambda:InvokeFunction
	Principal     string // such as events.amazonaws.com
	SourceARN     string // may hold wildcards; empty: any
	SourceAccount string // empty: any
}

// EnsurePermission adds a permission, or replaces the one of the same id.
func (l *Lambda) EnsurePermission(id string, p Permission) error {
	if p.Action != "lambda:InvokeFunction" {
		return invalid("Action %q: only lambda:InvokeFunction is supported by the local environment", p.Action)
	}
	if !strings.HasSuffix(p.Principal, ".amazonaws.com") {
		return invalid("Principal %q: only services are supported by the local environment", p.Principal)
	}
	condition := map[string]map[string]string{}
	if p.SourceARN != "" {
		condition["ArnLike"] = map[string]string{"aws:SourceArn": p.SourceARN}
	}
	if p.SourceAccount != "" {
		condition["StringEquals"] = map[string]string{"aws:SourceAccount": p.SourceAccount}
	}
	f, err := l.find(p.Function, "")
	if err != nil {
		return err
	}
	document, err := json.Marshal(map[string]any{"Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": p.Principal}, "Action": p.Action,
		"Resource": l.functionARN(f.Name), "Condition": condition,
	}}})
	if err != nil {
		return err
	}
	parsed, err := policy.Parse(document)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.permissions[id] = parsed
	return nil
}

// DeletePermission removes a permission; one that does not exist is not an
// error.
func (l *Lambda) DeletePermission(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.permissions, id)
}

// InvokeFromService is [Lambda.InvokeAsync] by a service, on behalf of a
// resource, if a permission of the function allows it.
func (l *Lambda) InvokeFromService(principal, sourceARN, functionARN string, payload []byte) error {
	f, err := l.allowed(principal, sourceARN, functionARN)
	if err != nil {
		return err
	}
	_, err = l.InvokeAsync(f.Name, payload)
	return err
}

// InvokeForService is [Lambda.Invoke] by a service, on behalf of a resource, if a
// permission of the function allows it. If ctx ends first, the function goes on,
// as it does on AWS.
func (l *Lambda) InvokeForService(ctx context.Context, principal, sourceARN, functionARN string, payload []byte) (*Result, error) {
	f, err := l.allowed(principal, sourceARN, functionARN)
	if err != nil {
		return nil, err
	}
	type answer struct {
		result *Result
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // Invoke itself is waited for by Close
		result, err := l.Invoke(context.WithoutCancel(ctx), f.Name, payload)
		answered <- answer{result, err}
	}()
	select {
	case a := <-answered:
		return a.result, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// allowed finds a function, if a service may invoke it on behalf of a resource.
func (l *Lambda) allowed(principal, sourceARN, functionARN string) (*function, error) {
	f, err := l.find(functionARN, "")
	if err != nil {
		return nil, err
	}
	if !l.permits(policy.Request{
		Service: principal, Action: "lambda:InvokeFunction", Resource: l.functionARN(f.Name),
		Keys: policy.ServiceKeys(sourceARN, l.cfg.Account),
	}) {
		return nil, &awswire.Error{Code: "AccessDeniedException", Status: 403,
			Message: fmt.Sprintf("%s may not lambda:InvokeFunction %s for %s: no permission of the function allows it", principal, f.Name, sourceARN)}
	}
	return f, nil
}

func (l *Lambda) permits(r policy.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.permissions {
		if p.Allows(r) {
			return true
		}
	}
	return false
}
