package scenarios

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// The values of these secrets are made up, and so are the tokens, which name
// versions.
const (
	firstVersion  = "11111111-1111-4111-8111-111111111111"
	secondVersion = "22222222-2222-4222-8222-222222222222"
	thirdVersion  = "33333333-3333-4333-8333-333333333333"
)

// secret makes a secret with the value "one", whose name it returns.
func (r *run) secret() *string {
	name := str(r.name("secret"))
	must(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: str("one"), ClientRequestToken: str(firstVersion)}))
	r.forget(name)
	return name
}

// forget deletes a secret for good at the end.
func (r *run) forget(name *string) {
	r.later(func() error {
		_, err := r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: new(true)})
		return ignore[*types.ResourceNotFoundException](err)
	})
}

func (r *run) seeSecret(name *string) {
	r.see(r.secrets.GetSecretValue(r.ctx, &secretsmanager.GetSecretValueInput{SecretId: name}))
}

// putValue notes what giving a secret a new version answers.
func (r *run) putValue(name *string, token, value string, stages ...string) {
	r.see(r.secrets.PutSecretValue(r.ctx, &secretsmanager.PutSecretValueInput{SecretId: name, ClientRequestToken: &token, SecretString: &value, VersionStages: stages}))
}

// seeVersions notes the versions of a secret and their stages.
func (r *run) seeVersions(name *string) {
	out := must(r.secrets.DescribeSecret(r.ctx, &secretsmanager.DescribeSecretInput{SecretId: name}))
	r.note("versions", out.VersionIdsToStages)
}

func secrets() []Scenario {
	return scenarios("secrets",
		Scenario{Name: "a secret is created, read and described", play: func(r *run) {
			name := str(r.name("secret"))
			r.forget(name)
			created, err := r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: str("one"), Description: str("for orders"), Tags: []types.Tag{{Key: str("team"), Value: str("a")}}})
			r.see(created, err)
			r.seeSecret(name)
			r.seeSecret(created.ARN)
			r.see(r.secrets.DescribeSecret(r.ctx, &secretsmanager.DescribeSecretInput{SecretId: name}))
		}},
		Scenario{Name: "a secret may be binary", play: func(r *run) {
			name := str(r.name("secret"))
			r.forget(name)
			must(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, SecretBinary: []byte{0, 1, 255}}))
			r.seeSecret(name)
		}},
		Scenario{Name: "a secret may have no value yet", play: func(r *run) {
			name := str(r.name("secret"))
			r.forget(name)
			r.see(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name}))
			r.seeSecret(name)
			r.putValue(name, firstVersion, "one")
			r.seeSecret(name)
		}},
		Scenario{Name: "creating a secret again is refused, unless it is the same call", play: func(r *run) {
			name := r.secret()
			for _, c := range [][2]string{{firstVersion, "one"}, {firstVersion, "two"}, {secondVersion, "one"}} {
				r.see(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, ClientRequestToken: &c[0], SecretString: &c[1]}))
			}
		}},
		Scenario{Name: "what a secret is created of is checked", play: func(r *run) {
			large := strings.Repeat("x", 65_537)
			for _, in := range []*secretsmanager.CreateSecretInput{
				{Name: str("with space"), SecretString: str("x")}, {Name: str(strings.Repeat("x", 513)), SecretString: str("x")}, {Name: str(r.name("a")), SecretString: &large},
				{Name: str(r.name("b")), SecretString: str("x"), SecretBinary: []byte("x")}, {Name: str(r.name("c")), SecretString: str("x"), ClientRequestToken: str("short")},
			} {
				r.forget(in.Name)
				r.see(r.secrets.CreateSecret(r.ctx, in))
			}
		}},
		Scenario{Name: "a value has at most 65,536 bytes", play: func(r *run) {
			name := r.secret()
			for _, size := range []int{65_536, 65_537} {
				r.putValue(name, fmt.Sprintf("%032d-%d", size, size), strings.Repeat("x", size))
			}
		}},
		Scenario{Name: "new versions move the stages", play: func(r *run) {
			name := r.secret()
			r.seeVersions(name)
			r.putValue(name, secondVersion, "two")
			r.seeVersions(name)
			r.putValue(name, thirdVersion, "three")
			r.seeVersions(name)
			for _, in := range []*secretsmanager.GetSecretValueInput{
				{}, {VersionStage: str("AWSPREVIOUS")}, {VersionId: str(secondVersion)}, {VersionId: str(firstVersion)}, {VersionStage: str("NONE")},
				{VersionId: str(thirdVersion), VersionStage: str("AWSCURRENT")}, {VersionId: str(thirdVersion), VersionStage: str("AWSPREVIOUS")},
			} {
				in.SecretId = name
				r.see(r.secrets.GetSecretValue(r.ctx, in))
			}
		}},
		Scenario{Name: "a version may wait under a stage of its own", play: func(r *run) {
			name := r.secret()
			r.putValue(name, secondVersion, "two", "AWSPENDING")
			r.seeVersions(name)
			r.seeSecret(name)
			r.see(r.secrets.GetSecretValue(r.ctx, &secretsmanager.GetSecretValueInput{SecretId: name, VersionStage: str("AWSPENDING")}))
		}},
		Scenario{Name: "putting the same version again", play: func(r *run) {
			name := r.secret()
			r.putValue(name, secondVersion, "two")
			r.putValue(name, secondVersion, "two")
			r.putValue(name, secondVersion, "other")
			r.seeVersions(name)
		}},
		Scenario{Name: "versions are listed", play: func(r *run) {
			name := r.secret()
			r.putValue(name, secondVersion, "two")
			r.putValue(name, thirdVersion, "three")
			for _, all := range []bool{false, true} {
				out := must(r.secrets.ListSecretVersionIds(r.ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: name, IncludeDeprecated: &all}))
				stages := map[string][]string{}
				for _, v := range out.Versions {
					stages[*v.VersionId] = append([]string{"version"}, v.VersionStages...)
				}
				r.note(fmt.Sprint("deprecated included = ", all), stages)
			}
		}},
		Scenario{Name: "a secret is updated", play: func(r *run) {
			name := r.secret()
			r.see(r.secrets.UpdateSecret(r.ctx, &secretsmanager.UpdateSecretInput{SecretId: name, Description: str("changed")}))
			r.seeVersions(name)
			r.see(r.secrets.UpdateSecret(r.ctx, &secretsmanager.UpdateSecretInput{SecretId: name, SecretString: str("two"), ClientRequestToken: str(secondVersion)}))
			r.seeVersions(name)
			r.note("description", must(r.secrets.DescribeSecret(r.ctx, &secretsmanager.DescribeSecretInput{SecretId: name})).Description)
		}},
		Scenario{Name: "a secret that is not there", play: func(r *run) {
			name := str(r.name("none"))
			r.seeSecret(name)
			r.putValue(name, firstVersion, "one")
			r.see(r.secrets.DescribeSecret(r.ctx, &secretsmanager.DescribeSecretInput{SecretId: name}))
			r.see(r.secrets.UpdateSecret(r.ctx, &secretsmanager.UpdateSecretInput{SecretId: name, SecretString: str("two")}))
			r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name}))
			r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: new(true)}))
			r.see(r.secrets.RestoreSecret(r.ctx, &secretsmanager.RestoreSecretInput{SecretId: name}))
			r.see(r.secrets.ListSecretVersionIds(r.ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: name}))
		}},
		Scenario{Name: "a deleted secret waits, and can be restored", play: func(r *run) {
			name := r.secret()
			r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name, RecoveryWindowInDays: new(int64(7))}))
			r.seeSecret(name)
			r.putValue(name, secondVersion, "two")
			r.see(r.secrets.UpdateSecret(r.ctx, &secretsmanager.UpdateSecretInput{SecretId: name, Description: str("x")}))
			r.see(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: str("x")}))
			r.note("described as deleted", must(r.secrets.DescribeSecret(r.ctx, &secretsmanager.DescribeSecretInput{SecretId: name})).DeletedDate)
			r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name}))
			r.see(r.secrets.RestoreSecret(r.ctx, &secretsmanager.RestoreSecretInput{SecretId: name}))
			r.seeSecret(name)
			r.see(r.secrets.RestoreSecret(r.ctx, &secretsmanager.RestoreSecretInput{SecretId: name}))
		}},
		Scenario{Name: "the deletion window has its limits", play: func(r *run) {
			name := r.secret()
			for _, days := range []int64{6, 31} {
				r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name, RecoveryWindowInDays: &days}))
			}
			r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name, RecoveryWindowInDays: new(int64(7)), ForceDeleteWithoutRecovery: new(true)}))
			r.seeSecret(name)
		}},
		Scenario{Name: "a secret that is deleted by force is gone", play: func(r *run) {
			name := r.secret()
			r.see(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: new(true)}))
			r.seeSecret(name)
			r.see(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: str("two")}))
		}},
		Scenario{Name: "secrets are listed by name, in pages", play: func(r *run) {
			for _, suffix := range []string{"a", "b", "c"} {
				name := str(r.name(suffix))
				must(r.secrets.CreateSecret(r.ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: str("x")}))
				r.forget(name)
			}
			mine := []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{r.prefix}}}
			in := &secretsmanager.ListSecretsInput{Filters: mine, MaxResults: new(int32(2)), SortOrder: types.SortOrderTypeAsc}
			for range 2 {
				out := must(r.secrets.ListSecrets(r.ctx, in))
				for _, secret := range out.SecretList {
					r.note("listed", *secret.Name)
				}
				r.note("more", out.NextToken != nil)
				in.NextToken = out.NextToken
			}
		}},
		Scenario{Name: "a deleted secret is listed on request", play: func(r *run) {
			name := r.secret()
			must(r.secrets.DeleteSecret(r.ctx, &secretsmanager.DeleteSecretInput{SecretId: name}))
			for _, planned := range []bool{false, true} {
				out := must(r.secrets.ListSecrets(r.ctx, &secretsmanager.ListSecretsInput{Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{r.prefix}}}, IncludePlannedDeletion: &planned}))
				r.note(fmt.Sprint("planned deletions included = ", planned), len(out.SecretList))
			}
		}},
		Scenario{Name: "tags of secrets are added and removed", play: func(r *run) {
			name := r.secret()
			r.see(r.secrets.TagResource(r.ctx, &secretsmanager.TagResourceInput{SecretId: name, Tags: []types.Tag{{Key: str("team"), Value: str("a")}, {Key: str("env"), Value: str("x")}}}))
			r.see(r.secrets.UntagResource(r.ctx, &secretsmanager.UntagResourceInput{SecretId: name, TagKeys: []string{"env"}}))
			r.note("tags", must(r.secrets.DescribeSecret(r.ctx, &secretsmanager.DescribeSecretInput{SecretId: name})).Tags)
		}},
	)
}
