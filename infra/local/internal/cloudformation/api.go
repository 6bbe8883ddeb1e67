package cloudformation

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Service is the name of the service in a request's credential scope.
const Service = "cloudformation"

// Stacks returns the stacks that are deployed. Its methods are CloudFormation's own API, of which the local environment
// serves what reads: it is Deploy that makes stacks. It must be safe for concurrent use.
type Stacks func() []Stack

// authorize asks whether the caller may perform an action, like ListStacks, on
// the stack with the given ARN, or "*".
func authorize(ctx context.Context, action, resource string) error {
	return awswire.Authorize(ctx, awswire.Access{Action: "cloudformation:" + action, Resource: resource})
}

// arnOf is the ARN of a stack that need not exist: one that does not has * for
// its id.
func arnOf(stacks []Stack, nameOrID string) string {
	for _, one := range stacks {
		if nameOrID == one.Name || nameOrID == one.ID {
			return one.ID
		}
	}
	if strings.Contains(nameOrID, ":stack/") || len(stacks) == 0 {
		return nameOrID
	}
	prefix, _, _ := strings.Cut(stacks[0].ID, ":stack/")
	return prefix + ":stack/" + nameOrID + "/*"
}

// find finds a stack by its name or id, if the caller may perform the action on
// it.
func (s Stacks) find(ctx context.Context, action, nameOrID string) (Stack, error) {
	stacks := s()
	if nameOrID == "" {
		return Stack{}, awswire.Errorf("ValidationError", "1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null")
	}
	if err := authorize(ctx, action, arnOf(stacks, nameOrID)); err != nil {
		return Stack{}, err
	}
	i := slices.IndexFunc(stacks, func(s Stack) bool { return nameOrID == s.Name || nameOrID == s.ID })
	if i < 0 {
		return Stack{}, awswire.Errorf("ValidationError", "Stack with id %s does not exist", nameOrID)
	}
	return stacks[i], nil
}

func (s Stack) at() string { return s.DeployedAt.UTC().Format(time.RFC3339) }

// Query is the API on the wire. Every stack and resource shows as created by the last deployment, and complete.
func (s Stacks) Query() awswire.QueryService {
	return awswire.QueryService{
		Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
		Operations: awswire.Operations{
			"DescribeStacks":         awswire.Op(s.describeStacks),
			"ListStacks":             awswire.Op(s.listStacks),
			"ListStackResources":     awswire.Op(s.listStackResources),
			"DescribeStackResources": awswire.Op(s.describeStackResources),
			"ListExports":            awswire.Op(s.listExports),
			"GetTemplate":            awswire.Op(s.getTemplate),
		},
	}
}

const complete = "CREATE_COMPLETE"

// pageSize is how many elements a page of a list has. CloudFormation's pages measure 1 MB, or 100 elements.
const pageSize = 100

type drift struct{ StackDriftStatus string }

type stackDescription struct {
	StackId          string //nolint:revive // the API's spelling
	StackName        string
	Description      string `json:",omitzero"`
	CreationTime     string
	StackStatus      string
	DisableRollback  bool
	DriftInformation drift
	Outputs          []outputDescription
	NotificationARNs []string
	Tags             []struct{}
}

type outputDescription struct {
	OutputKey, OutputValue string
	Description            string `json:",omitzero"`
	ExportName             string `json:",omitzero"`
}

type stackList struct {
	Stacks    []stackDescription
	NextToken string `json:",omitzero"`
}

func (s Stacks) describeStacks(ctx context.Context, in *struct{ StackName, NextToken string }) (*stackList, error) {
	stacks := s()
	if in.StackName != "" {
		one, err := s.find(ctx, "DescribeStacks", in.StackName)
		if err != nil {
			return nil, err
		}
		stacks = []Stack{one}
	} else if err := authorize(ctx, "DescribeStacks", "*"); err != nil {
		return nil, err
	}
	stacks, next, err := page(slices.Clone(stacks), func(s Stack) string { return s.Name }, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &stackList{Stacks: []stackDescription{}, NextToken: next}
	for _, one := range stacks {
		d := stackDescription{StackId: one.ID, StackName: one.Name, Description: one.Description, CreationTime: one.at(), StackStatus: complete,
			DriftInformation: drift{"NOT_CHECKED"}, Outputs: []outputDescription{}, NotificationARNs: []string{}, Tags: []struct{}{}}
		for _, o := range one.Outputs {
			d.Outputs = append(d.Outputs, outputDescription{o.Name, o.Value, o.Description, o.Export})
		}
		out.Stacks = append(out.Stacks, d)
	}
	return out, nil
}

// page is awswire.Page with the code that CloudFormation gives its errors.
func page[T any](all []T, key func(T) string, token string) ([]T, string, error) {
	items, next, err := awswire.Page(all, key, token, nil, pageSize)
	if err != nil {
		return nil, "", awswire.Errorf("ValidationError", "NextToken %q is not valid: want the one that came with the page before", token)
	}
	return items, next, nil
}

type stackSummary struct {
	StackId             string //nolint:revive // the API's spelling
	StackName           string
	TemplateDescription string `json:",omitzero"`
	CreationTime        string
	StackStatus         string
	DriftInformation    drift
}

type stackSummaries struct {
	StackSummaries []stackSummary
	NextToken      string `json:",omitzero"`
}

func (s Stacks) listStacks(ctx context.Context, in *struct {
	StackStatusFilter []string
	NextToken         string
}) (*stackSummaries, error) {
	if err := authorize(ctx, "ListStacks", "*"); err != nil {
		return nil, err
	}
	stacks := s()
	if len(in.StackStatusFilter) > 0 && !slices.Contains(in.StackStatusFilter, complete) {
		stacks = nil
	}
	stacks, next, err := page(slices.Clone(stacks), func(s Stack) string { return s.Name }, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &stackSummaries{StackSummaries: []stackSummary{}, NextToken: next}
	for _, one := range stacks {
		out.StackSummaries = append(out.StackSummaries, stackSummary{one.ID, one.Name, one.Description, one.at(), complete, drift{"NOT_CHECKED"}})
	}
	return out, nil
}

type resourceDrift struct{ StackResourceDriftStatus string }

type resourceSummary struct {
	LogicalResourceId    string //nolint:revive // the API's spelling
	PhysicalResourceId   string //nolint:revive // the API's spelling
	ResourceType         string
	LastUpdatedTimestamp string
	ResourceStatus       string
	DriftInformation     resourceDrift
}

type resourceSummaries struct {
	StackResourceSummaries []resourceSummary
	NextToken              string `json:",omitzero"`
}

func (s Stacks) listStackResources(ctx context.Context, in *struct{ StackName, NextToken string }) (*resourceSummaries, error) {
	stack, err := s.find(ctx, "ListStackResources", in.StackName)
	if err != nil {
		return nil, err
	}
	resources, next, err := page(slices.Clone(stack.Resources), func(r Deployed) string { return r.LogicalID }, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &resourceSummaries{StackResourceSummaries: []resourceSummary{}, NextToken: next}
	for _, r := range resources {
		out.StackResourceSummaries = append(out.StackResourceSummaries, resourceSummary{r.LogicalID, r.Ref, r.Type, stack.at(), complete, resourceDrift{"NOT_CHECKED"}})
	}
	return out, nil
}

type resourceDescription struct {
	StackId            string //nolint:revive // the API's spelling
	StackName          string
	LogicalResourceId  string //nolint:revive // the API's spelling
	PhysicalResourceId string //nolint:revive // the API's spelling
	ResourceType       string
	Timestamp          string
	ResourceStatus     string
	DriftInformation   resourceDrift
}

type resourceDescriptions struct{ StackResources []resourceDescription }

// describeStackResources describes the first 100 resources of a stack, or one of them: DescribeStackResources has no pages.
// Without a stack's name, the stack is that of the physical id.
func (s Stacks) describeStackResources(ctx context.Context, in *struct {
	StackName, LogicalResourceId, PhysicalResourceId string //nolint:revive // the API's spelling
}) (*resourceDescriptions, error) {
	if (in.StackName == "") == (in.PhysicalResourceId == "") {
		return nil, awswire.Errorf("ValidationError", "Either StackName or PhysicalResourceId must be specified, and not both")
	}
	stacks := s()
	i := slices.IndexFunc(stacks, func(stack Stack) bool {
		return in.StackName != "" && (in.StackName == stack.Name || in.StackName == stack.ID) ||
			in.PhysicalResourceId != "" && slices.ContainsFunc(stack.Resources, func(r Deployed) bool { return r.Ref == in.PhysicalResourceId })
	})
	resource := arnOf(stacks, in.StackName)
	if i >= 0 {
		resource = stacks[i].ID
	}
	if err := authorize(ctx, "DescribeStackResources", resource); err != nil {
		return nil, err
	}
	if i < 0 && in.StackName != "" {
		return nil, awswire.Errorf("ValidationError", "Stack with id %s does not exist", in.StackName)
	} else if i < 0 {
		return nil, awswire.Errorf("ValidationError", "Stack for %s does not exist", in.PhysicalResourceId)
	}
	out := &resourceDescriptions{StackResources: []resourceDescription{}}
	for _, r := range stacks[i].Resources {
		if in.LogicalResourceId != "" && r.LogicalID != in.LogicalResourceId || len(out.StackResources) == 100 {
			continue
		}
		out.StackResources = append(out.StackResources, resourceDescription{
			stacks[i].ID, stacks[i].Name, r.LogicalID, r.Ref, r.Type, stacks[i].at(), complete, resourceDrift{"NOT_CHECKED"}})
	}
	if in.LogicalResourceId != "" && len(out.StackResources) == 0 {
		return nil, awswire.Errorf("ValidationError", "Resource %s does not exist for stack %s", in.LogicalResourceId, stacks[i].Name)
	}
	return out, nil
}

type export struct{ ExportingStackId, Name, Value string } //nolint:revive // the API's spelling

type exportList struct {
	Exports   []export
	NextToken string `json:",omitzero"`
}

func (s Stacks) listExports(ctx context.Context, in *struct{ NextToken string }) (*exportList, error) {
	if err := authorize(ctx, "ListExports", "*"); err != nil {
		return nil, err
	}
	stacks := s()
	all := []export{}
	for _, stack := range stacks {
		for _, o := range stack.Outputs {
			if o.Export != "" {
				all = append(all, export{stack.ID, o.Export, o.Value})
			}
		}
	}
	exports, next, err := page(all, func(e export) string { return e.Name }, in.NextToken)
	return &exportList{exports, next}, err
}

type templateBody struct {
	TemplateBody    string
	StagesAvailable []string
}

func (s Stacks) getTemplate(ctx context.Context, in *struct{ StackName, TemplateStage string }) (*templateBody, error) {
	if in.TemplateStage != "" && in.TemplateStage != "Original" && in.TemplateStage != "Processed" {
		return nil, awswire.Errorf("ValidationError", "TemplateStage %q: want Original or Processed", in.TemplateStage)
	}
	stack, err := s.find(ctx, "GetTemplate", in.StackName)
	if err != nil {
		return nil, err
	}
	return &templateBody{string(stack.Template), []string{"Original", "Processed"}}, nil
}
