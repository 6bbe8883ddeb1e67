package lambda

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

func TestAServiceInvokesAFunctionOnlyAsAPermissionAllows(t *testing.T) {
	const (
		account   = "000000000000"
		rule      = "arn:aws:events:us-east-1:" + account + ":rule/sweep"
		service   = "events.amazonaws.com"
		prefixARN = "arn:aws:lambda:us-east-1:" + account + ":function:"
	)
	permission := Permission{Function: "f", Action: "lambda:InvokeFunction", Principal: service, SourceARN: rule}
	for what, c := range map[string]struct {
		edit    func(*Permission)
		allowed bool
	}{
		"as the template says":             {func(*Permission) {}, true},
		"the function by its ARN":          {func(p *Permission) { p.Function = prefixARN + "f" }, true},
		"a source with a wildcard":         {func(p *Permission) { p.SourceARN = "arn:aws:events:*:*:rule/s*" }, true},
		"no source":                        {func(p *Permission) { p.SourceARN = "" }, true},
		"the account too":                  {func(p *Permission) { p.SourceAccount = account }, true},
		"another account":                  {func(p *Permission) { p.SourceAccount = "111111111111" }, false},
		"another rule":                     {func(p *Permission) { p.SourceARN = rule + "r" }, false},
		"another service":                  {func(p *Permission) { p.Principal = "s3.amazonaws.com" }, false},
		"a permission of another function": {func(p *Permission) { p.Function = "g" }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLambda(t, nil)
			invoked := 0
			l.invokeAs = func(context.Context, invokeInput) (*Result, error) { invoked++; return &Result{}, nil }
			for _, name := range []string{"f", "g"} {
				if err := l.CreateFunction(t.Context(), Function{Name: name, Program: program}); err != nil {
					t.Fatal(err)
				}
			}
			p := permission
			c.edit(&p)
			if err := l.EnsurePermission("p", p); err != nil {
				t.Fatal(err)
			}
			err := l.InvokeFromService(service, rule, prefixARN+"f", []byte("{}"))
			synctest.Wait()
			if c.allowed && (err != nil || invoked != 1) {
				t.Errorf("%s: %v, invoked %d times", what, err, invoked)
			}
			l.DeletePermission("p")
			if c.allowed {
				err = l.InvokeFromService(service, rule, prefixARN+"f", []byte("{}"))
			}
			if e := (*awswire.Error)(nil); !errors.As(err, &e) || e.Code != "AccessDeniedException" {
				t.Errorf("%s: without a permission: %v", what, err)
			}
		})
	}
}

func TestAPermissionThatIsNotSupportedIsNamed(t *testing.T) {
	l := newLambda(t, nil)
	if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]Permission{
		`Action "lambda:*"`:  {Function: "f", Action: "lambda:*", Principal: "events.amazonaws.com"},
		`Principal "*"`:      {Function: "f", Action: "lambda:InvokeFunction", Principal: "*"},
		"Function not found": {Function: "g", Action: "lambda:InvokeFunction", Principal: "events.amazonaws.com"},
	} {
		if err := l.EnsurePermission("p", p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if err := l.InvokeFromService("events.amazonaws.com", "", "arn:aws:lambda:us-east-1:000000000000:function:g", nil); err == nil {
		t.Error("a function that does not exist was invoked")
	}
}
