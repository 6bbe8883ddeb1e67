package connector

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"github.com/penstock-dev/penstock/functions/connector/topictags"
)

// Source tells which functions there are.
type Source interface {
	// Functions returns all functions that have declared topics or a namespace. An
	// error leaves the connector with those that it knew.
	Functions(ctx context.Context) ([]Function, error)
}

// Function is a function that has declared topics, a namespace, or both.
type Function struct {
	Name      string   // short name, as in "printer"
	Namespace string   // may be empty
	Topics    []string // may be empty: the function is invoked by name only
	Lambda    string   // name or ARN of its Lambda function
}

// FullName is the name with the namespace, if there is one: "printer.billing".
func (f Function) FullName() string {
	if f.Namespace == "" {
		return f.Name
	}
	return f.Name + "." + f.Namespace
}

// Tags is the source of an environment that the CDK app provisioned: the tags of
// its functions (package topictags), as the Resource Groups Tagging API has them.
// It takes one call for 100 functions. What has been deployed shows in it after
// some seconds, and what has been deleted may show for a while.
type Tags struct {
	client      tagging.GetResourcesAPIClient
	environment string

	// Logger is told of functions whose tags cannot be read, which are left out;
	// default slog.Default().
	Logger *slog.Logger
}

// NewTags returns the source of an environment, such as "penstock-prod": the
// names of the application and the environment. The client is a
// *resourcegroupstaggingapi.Client of the environment's account and region.
func NewTags(client tagging.GetResourcesAPIClient, environment string) *Tags {
	return &Tags{client: client, environment: environment}
}

// Functions implements [Source].
func (t *Tags) Functions(ctx context.Context) ([]Function, error) {
	pages := tagging.NewGetResourcesPaginator(t.client, &tagging.GetResourcesInput{
		ResourceTypeFilters: []string{"lambda:function"},
		ResourcesPerPage:    aws.Int32(100), // the most
		TagFilters:          []types.TagFilter{{Key: aws.String(topictags.EnvironmentKey), Values: []string{t.environment}}},
	})
	var out []Function
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the topics of environment %s: %w", t.environment, err)
		}
		for _, resource := range page.ResourceTagMappingList {
			tags := map[string]string{}
			for _, tag := range resource.Tags {
				tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
			d, err := topictags.Parse(tags)
			if err != nil {
				cmp.Or(t.Logger, slog.Default()).Warn("a function is left out, since its tags are not those that a deployment writes",
					"function", aws.ToString(resource.ResourceARN), "error", err)
				continue
			}
			out = append(out, Function{Name: d.Function, Namespace: d.Namespace, Topics: d.Topics, Lambda: aws.ToString(resource.ResourceARN)})
		}
	}
	return out, nil
}

// Static is a source that never changes: functions that are known beforehand.
type Static []Function

// Functions implements [Source].
func (s Static) Functions(context.Context) ([]Function, error) { return slices.Clone(s), nil }
