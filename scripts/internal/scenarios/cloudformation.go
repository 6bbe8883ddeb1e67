package scenarios

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func stacks() []Scenario {
	return scenarios("cloudformation",
		Scenario{Name: "a stack is described with its outputs", play: func(r *run) {
			out := must(r.stacks.DescribeStacks(r.ctx, &cloudformation.DescribeStacksInput{StackName: &r.target.Stack}))
			for _, s := range out.Stacks {
				slices.SortFunc(s.Outputs, func(a, b types.Output) int { return strings.Compare(*a.OutputKey, *b.OutputKey) })
				r.note("stack", map[string]any{"StackName": s.StackName, "StackId": s.StackId, "Description": s.Description, "StackStatus": s.StackStatus, "Outputs": s.Outputs})
			}
		}},
		Scenario{Name: "a stack that is not there", play: func(r *run) {
			none := str(r.name("none"))
			r.see(r.stacks.DescribeStacks(r.ctx, &cloudformation.DescribeStacksInput{StackName: none}))
			r.see(r.stacks.ListStackResources(r.ctx, &cloudformation.ListStackResourcesInput{StackName: none}))
			r.see(r.stacks.DescribeStackResources(r.ctx, &cloudformation.DescribeStackResourcesInput{StackName: none}))
			r.see(r.stacks.GetTemplate(r.ctx, &cloudformation.GetTemplateInput{StackName: none}))
		}},
		Scenario{Name: "the resources of a stack are listed", play: func(r *run) {
			resources := map[string]any{}
			pages := cloudformation.NewListStackResourcesPaginator(r.stacks, &cloudformation.ListStackResourcesInput{StackName: &r.target.Stack})
			for pages.HasMorePages() {
				for _, one := range must(pages.NextPage(r.ctx)).StackResourceSummaries {
					resources[*one.LogicalResourceId] = map[string]any{"PhysicalResourceId": one.PhysicalResourceId, "ResourceType": one.ResourceType, "ResourceStatus": one.ResourceStatus}
				}
			}
			r.note("resources", resources)
		}},
		Scenario{Name: "a resource is found by its logical and its physical id", play: func(r *run) {
			for _, in := range []*cloudformation.DescribeStackResourcesInput{
				{StackName: &r.target.Stack, LogicalResourceId: str("Items")}, {PhysicalResourceId: r.items()}, {StackName: &r.target.Stack, LogicalResourceId: str("None")}, {PhysicalResourceId: str(r.name("none"))},
			} {
				out, err := r.stacks.DescribeStackResources(r.ctx, in)
				if err != nil {
					r.see(out, err)
					continue
				}
				found := false
				for _, one := range out.StackResources {
					found = found || *one.LogicalResourceId == "Items" && *one.PhysicalResourceId == *r.items()
				}
				r.note("found", found)
			}
		}},
		Scenario{Name: "exports are listed", play: func(r *run) {
			pages := cloudformation.NewListExportsPaginator(r.stacks, &cloudformation.ListExportsInput{})
			for pages.HasMorePages() {
				for _, e := range must(pages.NextPage(r.ctx)).Exports {
					if strings.HasPrefix(*e.Name, r.target.Stack) {
						r.note("export", e)
					}
				}
			}
		}},
		Scenario{Name: "stacks are listed by their status", play: func(r *run) {
			pages := cloudformation.NewListStacksPaginator(r.stacks, &cloudformation.ListStacksInput{StackStatusFilter: []types.StackStatus{"CREATE_COMPLETE"}})
			for pages.HasMorePages() {
				for _, s := range must(pages.NextPage(r.ctx)).StackSummaries {
					if *s.StackName == r.target.Stack {
						r.note("stack", map[string]any{"StackName": s.StackName, "StackStatus": s.StackStatus, "TemplateDescription": s.TemplateDescription})
					}
				}
			}
		}},
		Scenario{Name: "the template of a stack is read back", play: func(r *run) {
			out := must(r.stacks.GetTemplate(r.ctx, &cloudformation.GetTemplateInput{StackName: &r.target.Stack}))
			var template struct {
				Resources map[string]struct{ Type string }
			}
			if err := json.Unmarshal([]byte(*out.TemplateBody), &template); err != nil {
				r.fail("the template is not JSON: %w", err)
			}
			r.note("resources", slices.Sorted(maps.Keys(template.Resources)))
		}},
	)
}

func identities() []Scenario {
	return scenarios("sts", Scenario{Name: "a caller is told who it is", play: func(r *run) {
		out := must(r.sts.GetCallerIdentity(r.ctx, &sts.GetCallerIdentityInput{}))
		r.note("account", out.Account)
		r.note("the ARN is of the account", strings.Contains(*out.Arn, ":"+*out.Account+":"))
	}})
}
