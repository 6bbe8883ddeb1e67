package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/sts"
	"github.com/penstock-dev/penstock/infra/names"
)

// principals knows who an access key belongs to: the administrator, or the
// role of a function. It is safe for concurrent use.
type principals struct {
	account string

	mu    sync.RWMutex
	roles map[string]string // role name by access key id
}

func newPrincipals(account string) *principals {
	return &principals{account: account, roles: map[string]string{}}
}

func (p *principals) roleARN(role string) string {
	return fmt.Sprintf("arn:aws:iam::%s:role/%s", p.account, role)
}

// assume returns the credentials of a role. They stay the same for the same
// name, so that a program which outlives a restart keeps its identity.
func (p *principals) assume(roleARN string) lambda.Credentials {
	role := roleARN[strings.LastIndex(roleARN, "/")+1:]
	sum := sha256.Sum256([]byte(p.account + "/" + role))
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	key := "ASIA" + text[:16]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roles[key] = role
	return lambda.Credentials{AccessKeyID: key, SecretAccessKey: text[16:56], SessionToken: "local-" + text[56:]}
}

// identify says who an access key belongs to.
func (p *principals) identify(accessKeyID string) (sts.Identity, bool) {
	if accessKeyID == names.LocalAccessKeyID {
		return sts.Identity{ARN: fmt.Sprintf("arn:aws:iam::%s:user/administrator", p.account), UserID: accessKeyID}, true
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	role, ok := p.roles[accessKeyID]
	if !ok {
		return sts.Identity{}, false
	}
	return sts.Identity{ARN: fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", p.account, role, role), UserID: accessKeyID + ":" + role}, true
}
