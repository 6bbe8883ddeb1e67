package house

import (
	"os/exec"
	"strings"
	"testing"
)

// Size and start-up time are every function's: one that uses nothing but the
// standard stack is to have nothing else in it.
func TestAPlainFunctionLinksNothingThatItDoesNotUse(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./functions/trade-allocated")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr(err))
	}
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		if within(path, "github.com/aws/aws-sdk-go-v2/service", "github.com/aws/aws-sdk-go-v2/config", "go.opentelemetry.io",
			module+"functions/handler/idempotency", module+"functions/handler/secrets", module+"functions/handler/tracing") {
			t.Errorf("trade-allocated links %s", path)
		}
	}
}
