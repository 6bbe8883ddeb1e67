package secretsmanager

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Target is the prefix of X-Amz-Target for the operations; the protocol is AWS
// JSON 1.1.
const Target = "secretsmanager"

// Operations are the operations that the local environment serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"CreateSecret":         awswire.Op(s.createSecret),
		"PutSecretValue":       awswire.Op(s.putSecretValue),
		"UpdateSecret":         awswire.Op(s.updateSecret),
		"GetSecretValue":       awswire.Op(s.getSecretValue),
		"DescribeSecret":       awswire.Op(s.describeSecret),
		"ListSecrets":          awswire.Op(s.listSecrets),
		"ListSecretVersionIds": awswire.Op(s.listSecretVersionIDs),
		"DeleteSecret":         awswire.Op(s.deleteSecret),
		"RestoreSecret":        awswire.Op(s.restoreSecret),
		"TagResource":          awswire.Op(s.tagResource),
		"UntagResource":        awswire.Op(s.untagResource),
	}
}

// authorize asks whether the caller may perform an action, like GetSecretValue,
// on the secret that an id names. One that does not exist has six question marks
// for the random end of its ARN.
func (s *Service) authorize(ctx context.Context, action, id string) error {
	var caller string
	if s.config.Caller != nil {
		caller = s.config.Caller(ctx)
	}
	s.config.Meter.AddBy(meter.SecretCall, strings.TrimPrefix(id, s.arnPrefix()), caller, 1) // billed allowed or not
	s.mu.Lock()
	resource := s.arnPrefix() + strings.TrimPrefix(id, s.arnPrefix()) + "-" + strings.Repeat("?", suffixLength)
	if one, err := s.find(id); err == nil {
		resource = s.arn(one)
	}
	s.mu.Unlock()
	return awswire.Authorize(ctx, awswire.Access{Action: "secretsmanager:" + action, Resource: resource})
}

type none struct{}

// epoch is a time as the protocol writes it: seconds, with milliseconds after
// the point. The zero value is left out.
type epoch float64

func at(t time.Time) epoch {
	if t.IsZero() {
		return 0
	}
	return epoch(t.UnixMilli()) / 1000
}

type tag struct{ Key, Value string }

// Limits of what a caller gives ("CreateSecret", Secrets Manager API
// reference; "AWS Secrets Manager quotas").
const (
	maxDescription = 2048
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	maxPage        = 100
)

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

func checkDescription(text string) error {
	if len([]rune(text)) > maxDescription {
		return awswire.Errorf("ValidationException", "Description has %d characters: want at most %d", len([]rune(text)), maxDescription)
	}
	return nil
}

func setTags(into map[string]string, tags []tag) error {
	for _, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > maxTagKey || len(t.Value) > maxTagValue:
			return awswire.Errorf("ValidationException", "tag %q: want a key of 1 to %d characters and a value of at most %d", t.Key, maxTagKey, maxTagValue)
		case strings.HasPrefix(t.Key, "aws:"):
			return awswire.Errorf("InvalidParameterException", "tag %q: keys that begin with aws: are reserved", t.Key)
		}
		into[t.Key] = t.Value
	}
	if len(into) > maxTags {
		return awswire.Errorf("InvalidParameterException", "a secret has at most %d tags", maxTags)
	}
	return nil
}

func wireTags(tags map[string]string) []tag {
	var out []tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tag{key, tags[key]})
	}
	return out
}

type written struct {
	ARN           string
	Name          string
	VersionId     string   `json:",omitzero"` //nolint:revive // the API's spelling
	VersionStages []string `json:",omitzero"`
}

type createInput struct {
	Name               string
	ClientRequestToken string
	Description        string
	SecretString       *string
	SecretBinary       []byte
	Tags               []tag
}

func (s *Service) createSecret(ctx context.Context, in *createInput) (*written, error) {
	if err := s.authorize(ctx, "CreateSecret", in.Name); err != nil {
		return nil, err
	}
	if !validName.MatchString(in.Name) {
		return nil, awswire.Errorf("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@! (1 to 512; got %q)", in.Name)
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := value{in.SecretString, in.SecretBinary}
	existing := s.secrets[in.Name]
	switch {
	case existing == nil:
	case existing.due():
		if err := s.remove(existing); err != nil {
			return nil, err
		}
	case existing.pending():
		return nil, awswire.Errorf("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	default:
		// A repeat of the call that created it changes nothing.
		if v.given() && existing.version(in.ClientRequestToken) >= 0 {
			had, err := s.value(existing, in.ClientRequestToken)
			if err != nil {
				return nil, err
			}
			if had.equal(v) {
				return &written{ARN: s.arn(existing), Name: in.Name, VersionId: in.ClientRequestToken}, nil
			}
		}
		return nil, awswire.Errorf("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
	}
	now := time.Now().UTC()
	one := &secret{Name: in.Name, Suffix: newSuffix(), Description: in.Description, Tags: map[string]string{}, CreatedAt: now, ChangedAt: now}
	if err := setTags(one.Tags, in.Tags); err != nil {
		return nil, err
	}
	out := &written{ARN: s.arn(one), Name: one.Name}
	b := s.store.NewBatch()
	if v.given() {
		if err := s.addVersion(b, one, in.ClientRequestToken, v, nil); err != nil {
			b.Discard()
			return nil, err
		}
		out.VersionId = in.ClientRequestToken
	}
	return out, s.save(b, one)
}

type putInput struct {
	SecretId           string //nolint:revive // the API's spelling
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
	VersionStages      []string
}

func (s *Service) putSecretValue(ctx context.Context, in *putInput) (*written, error) {
	if err := s.authorize(ctx, "PutSecretValue", in.SecretId); err != nil {
		return nil, err
	}
	v := value{in.SecretString, in.SecretBinary}
	if !v.given() {
		return nil, awswire.Errorf("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	}
	if len(in.VersionStages) > maxStages {
		return nil, awswire.Errorf("ValidationException", "VersionStages has %d labels: want 1 to %d", len(in.VersionStages), maxStages)
	}
	for _, stage := range in.VersionStages {
		if stage == "" || len(stage) > maxStageLength {
			return nil, awswire.Errorf("ValidationException", "VersionStages: label %q: want 1 to %d characters", stage, maxStageLength)
		}
	}
	stages := in.VersionStages
	if stages == nil {
		stages = []string{current}
	}
	return s.write(in.SecretId, in.ClientRequestToken, v, stages, func(*secret) {})
}

type updateInput struct {
	SecretId           string //nolint:revive // the API's spelling
	ClientRequestToken string
	Description        *string
	SecretString       *string
	SecretBinary       []byte
}

func (s *Service) updateSecret(ctx context.Context, in *updateInput) (*written, error) {
	if err := s.authorize(ctx, "UpdateSecret", in.SecretId); err != nil {
		return nil, err
	}
	if in.Description != nil {
		if err := checkDescription(*in.Description); err != nil {
			return nil, err
		}
	}
	out, err := s.write(in.SecretId, in.ClientRequestToken, value{in.SecretString, in.SecretBinary}, []string{current}, func(one *secret) {
		if in.Description != nil {
			one.Description, one.ChangedAt = *in.Description, time.Now().UTC()
		}
	})
	if err != nil {
		return nil, err
	}
	out.VersionStages = nil
	return out, nil
}

// write changes a secret and, if a value is given, adds a version to it.
func (s *Service) write(id, token string, v value, stages []string, edit func(*secret)) (*written, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.active(id)
	if err != nil {
		return nil, err
	}
	changed := one.clone()
	edit(changed)
	out := &written{ARN: s.arn(one), Name: one.Name}
	b := s.store.NewBatch()
	if v.given() {
		if err := s.addVersion(b, changed, token, v, stages); err != nil {
			b.Discard()
			return nil, err
		}
		out.VersionId, out.VersionStages = token, changed.Versions[changed.version(token)].Stages
	}
	return out, s.save(b, changed)
}

type getInput struct {
	SecretId     string //nolint:revive // the API's spelling
	VersionId    string //nolint:revive // the API's spelling
	VersionStage string
}

type gotten struct {
	ARN           string
	Name          string
	VersionId     string  //nolint:revive // the API's spelling
	SecretString  *string `json:",omitzero"`
	SecretBinary  []byte  `json:",omitzero"`
	VersionStages []string
	CreatedDate   epoch
}

func (s *Service) getSecretValue(ctx context.Context, in *getInput) (*gotten, error) {
	if err := s.authorize(ctx, "GetSecretValue", in.SecretId); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.active(in.SecretId)
	if err != nil {
		return nil, err
	}
	place, err := one.pick(in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	picked := one.Versions[place]
	v, err := s.value(one, picked.ID)
	if err != nil {
		return nil, err
	}
	if one, err = s.touch(one, place); err != nil {
		return nil, err
	}
	return &gotten{
		ARN: s.arn(one), Name: one.Name, VersionId: picked.ID, SecretString: v.SecretString, SecretBinary: v.SecretBinary,
		VersionStages: picked.Stages, CreatedDate: at(picked.CreatedAt),
	}, nil
}

// description is what describing and listing say of a secret. The two call the
// versions by different names.
type description struct {
	ARN                    string
	Name                   string
	Description            string              `json:",omitzero"`
	CreatedDate            epoch               `json:",omitzero"`
	LastChangedDate        epoch               `json:",omitzero"`
	LastAccessedDate       epoch               `json:",omitzero"`
	DeletedDate            epoch               `json:",omitzero"`
	Tags                   []tag               `json:",omitzero"`
	VersionIdsToStages     map[string][]string `json:",omitzero"` //nolint:revive // the API's spelling
	SecretVersionsToStages map[string][]string `json:",omitzero"`
}

func (s *Service) describe(one *secret) description {
	return description{
		ARN: s.arn(one), Name: one.Name, Description: one.Description, Tags: wireTags(one.Tags), CreatedDate: at(one.CreatedAt),
		LastChangedDate: at(one.ChangedAt), LastAccessedDate: at(one.AccessedAt), DeletedDate: at(one.DeletionAt),
	}
}

// stages are the versions that have a label, with their labels.
func (s *secret) stages() map[string][]string {
	var out map[string][]string
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			if out == nil {
				out = map[string][]string{}
			}
			out[v.ID] = v.Stages
		}
	}
	return out
}

type secretID struct {
	SecretId string //nolint:revive // the API's spelling
}

func (s *Service) describeSecret(ctx context.Context, in *secretID) (*description, error) {
	if err := s.authorize(ctx, "DescribeSecret", in.SecretId); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	out := s.describe(one)
	out.VersionIdsToStages = one.stages()
	return &out, nil
}

type filter struct {
	Key    string
	Values []string
}

// match reports whether one of the values begins the secret's name ("Find
// secrets in AWS Secrets Manager").
func (f filter) match(one *secret) bool {
	return slices.ContainsFunc(f.Values, func(prefix string) bool { return strings.HasPrefix(one.Name, prefix) })
}

func (f filter) check() error {
	if f.Key != "name" {
		return awswire.Errorf("InvalidParameterException", "filter %q is not supported by the local environment: want name", f.Key)
	}
	for _, v := range f.Values {
		if strings.HasPrefix(v, "!") {
			return awswire.Errorf("InvalidParameterException", "filter value %q: negation is not supported by the local environment", v)
		}
	}
	return nil
}

type listInput struct {
	Filters                []filter
	IncludePlannedDeletion bool
	MaxResults             *int
	NextToken              string
	SortOrder              string
}

type list struct {
	SecretList []description
	NextToken  string `json:",omitzero"`
}

// position is where a page begins: after the secret that ended the last one,
// which may be gone by then.
type position struct {
	CreatedAt time.Time
	Name      string
}

func (p position) token() string {
	text, _ := json.Marshal(p) // of a time and a text: it cannot fail
	return base64.URLEncoding.EncodeToString(text)
}

func parsePosition(token string) (position, error) {
	var p position
	text, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, awswire.Errorf("InvalidNextTokenException", "NextToken %q is not one that this operation gave", token)
	}
	return p, nil
}

func pageSize(asked *int) (int, error) {
	if asked == nil {
		return maxPage, nil
	}
	if *asked < 1 || *asked > maxPage {
		return 0, awswire.Errorf("ValidationException", "MaxResults %d: want 1 to %d", *asked, maxPage)
	}
	return *asked, nil
}

func (s *Service) listSecrets(ctx context.Context, in *listInput) (*list, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "secretsmanager:ListSecrets", Resource: "*"}); err != nil {
		return nil, err
	}
	size, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	for _, f := range in.Filters {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	order := compare
	switch in.SortOrder {
	case "", "asc":
	case "desc":
		order = func(a, b *secret) int { return compare(b, a) }
	default:
		return nil, awswire.Errorf("ValidationException", "SortOrder %q: want asc or desc", in.SortOrder)
	}
	var after *secret
	if in.NextToken != "" {
		p, err := parsePosition(in.NextToken)
		if err != nil {
			return nil, err
		}
		after = &secret{CreatedAt: p.CreatedAt, Name: p.Name}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &list{SecretList: []description{}}
	var last *secret
	for _, one := range slices.SortedFunc(maps.Values(s.secrets), order) {
		if one.due() || after != nil && order(one, after) <= 0 || one.pending() && !in.IncludePlannedDeletion ||
			slices.ContainsFunc(in.Filters, func(f filter) bool { return !f.match(one) }) {
			continue
		}
		if len(out.SecretList) == size {
			out.NextToken = position{last.CreatedAt, last.Name}.token()
			break
		}
		d := s.describe(one)
		d.SecretVersionsToStages = one.stages()
		out.SecretList, last = append(out.SecretList, d), one
	}
	return out, nil
}

type listVersionsInput struct {
	SecretId          string //nolint:revive // the API's spelling
	IncludeDeprecated bool
	MaxResults        *int
	NextToken         string
}

type versionEntry struct {
	VersionId        string   //nolint:revive // the API's spelling
	VersionStages    []string `json:",omitzero"`
	CreatedDate      epoch
	LastAccessedDate epoch `json:",omitzero"`
}

type versionList struct {
	ARN       string
	Name      string
	Versions  []versionEntry
	NextToken string `json:",omitzero"`
}

func (s *Service) listSecretVersionIDs(ctx context.Context, in *listVersionsInput) (*versionList, error) {
	if err := s.authorize(ctx, "ListSecretVersionIds", in.SecretId); err != nil {
		return nil, err
	}
	size, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	var after position
	if in.NextToken != "" {
		if after, err = parsePosition(in.NextToken); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	out := &versionList{ARN: s.arn(one), Name: one.Name, Versions: []versionEntry{}}
	var last version
	order := func(a, b version) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) }
	for _, v := range slices.SortedFunc(slices.Values(one.Versions), order) {
		if order(v, version{CreatedAt: after.CreatedAt, ID: after.Name}) <= 0 || len(v.Stages) == 0 && !in.IncludeDeprecated {
			continue
		}
		if len(out.Versions) == size {
			out.NextToken = position{last.CreatedAt, last.ID}.token()
			break
		}
		out.Versions = append(out.Versions, versionEntry{v.ID, v.Stages, at(v.CreatedAt), at(v.AccessedAt)})
		last = v
	}
	return out, nil
}

// The recovery window, in days ("DeleteSecret", Secrets Manager API
// reference).
const (
	minWindow     = 7
	maxWindow     = 30
	defaultWindow = 30
)

type deleteInput struct {
	SecretId                   string //nolint:revive // the API's spelling
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

type deleted struct {
	ARN          string `json:",omitzero"`
	Name         string
	DeletionDate epoch
}

func (s *Service) deleteSecret(ctx context.Context, in *deleteInput) (*deleted, error) {
	if err := s.authorize(ctx, "DeleteSecret", in.SecretId); err != nil {
		return nil, err
	}
	days := defaultWindow
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
		if in.ForceDeleteWithoutRecovery {
			return nil, awswire.Errorf("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		}
		if days < minWindow || days > maxWindow {
			return nil, awswire.Errorf("InvalidParameterException", "The RecoveryWindowInDays value must be between %d and %d days (inclusive).", minWindow, maxWindow)
		}
	}
	now := time.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.ForceDeleteWithoutRecovery {
		one, err := s.find(in.SecretId)
		if err != nil {
			// "If you forcibly delete an already deleted or nonexistent secret,
			// the operation does not return ResourceNotFoundException."
			if in.SecretId == "" {
				return nil, err
			}
			return &deleted{Name: in.SecretId, DeletionDate: at(now)}, nil
		}
		return &deleted{s.arn(one), one.Name, at(now)}, s.remove(one)
	}
	one, err := s.active(in.SecretId)
	if err != nil {
		return nil, err
	}
	changed := one.clone()
	changed.DeletionAt = now.AddDate(0, 0, days)
	return &deleted{s.arn(one), one.Name, at(changed.DeletionAt)}, s.save(s.store.NewBatch(), changed)
}

func (s *Service) restoreSecret(ctx context.Context, in *secretID) (*written, error) {
	if err := s.authorize(ctx, "RestoreSecret", in.SecretId); err != nil {
		return nil, err
	}
	one, err := s.change(in.SecretId, s.find, func(one *secret) error { one.DeletionAt = time.Time{}; return nil })
	if err != nil {
		return nil, err
	}
	return &written{ARN: s.arn(one), Name: one.Name}, nil
}

func (s *Service) tagResource(ctx context.Context, in *struct {
	SecretId string //nolint:revive // the API's spelling
	Tags     []tag
}) (*none, error) {
	if err := s.authorize(ctx, "TagResource", in.SecretId); err != nil {
		return nil, err
	}
	_, err := s.change(in.SecretId, s.active, func(one *secret) error { return setTags(one.Tags, in.Tags) })
	return &none{}, err
}

func (s *Service) untagResource(ctx context.Context, in *struct {
	SecretId string //nolint:revive // the API's spelling
	TagKeys  []string
}) (*none, error) {
	if err := s.authorize(ctx, "UntagResource", in.SecretId); err != nil {
		return nil, err
	}
	_, err := s.change(in.SecretId, s.active, func(one *secret) error {
		for _, key := range in.TagKeys {
			delete(one.Tags, key)
		}
		return nil
	})
	return &none{}, err
}

// change replaces the secret that find finds by what edit makes of a copy of
// it, and returns that.
func (s *Service) change(id string, find func(id string) (*secret, error), edit func(*secret) error) (*secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := find(id)
	if err != nil {
		return nil, err
	}
	changed := one.clone()
	if err := edit(changed); err != nil {
		return nil, err
	}
	return changed, s.save(s.store.NewBatch(), changed)
}
