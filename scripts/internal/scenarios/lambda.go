package scenarios

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func (r *run) function() *string { return str(r.target.Stack + "-function") }

// mapping is the mapping of the stack's queue to its function.
func (r *run) mapping() types.EventSourceMappingConfiguration {
	out := must(r.lambda.ListEventSourceMappings(r.ctx, &lambda.ListEventSourceMappingsInput{FunctionName: r.function()}))
	if len(out.EventSourceMappings) != 1 {
		r.fail("function %s has %d event source mappings: want the one of its stack", *r.function(), len(out.EventSourceMappings))
	}
	return out.EventSourceMappings[0]
}

func functions() []Scenario {
	return scenarios("lambda",
		Scenario{Name: "a function's configuration is read", play: func(r *run) {
			for _, name := range []string{*r.function(), *must(r.lambda.GetFunctionConfiguration(r.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: r.function()})).FunctionArn} {
				out := must(r.lambda.GetFunctionConfiguration(r.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name}))
				r.note("configuration", map[string]any{
					"FunctionName": out.FunctionName, "FunctionArn": out.FunctionArn, "Runtime": out.Runtime, "Handler": out.Handler, "Description": out.Description, "MemorySize": out.MemorySize,
					"Timeout": out.Timeout, "Role": out.Role, "Version": out.Version, "State": out.State, "PackageType": out.PackageType, "Environment": out.Environment, "LastUpdateStatus": out.LastUpdateStatus,
				})
			}
		}},
		Scenario{Name: "a function that is not there", play: func(r *run) {
			none := str(r.name("none"))
			r.see(r.lambda.GetFunctionConfiguration(r.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: none}))
			r.see(r.lambda.Invoke(r.ctx, &lambda.InvokeInput{FunctionName: none}))
			r.see(r.lambda.GetFunctionConfiguration(r.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: r.function(), Qualifier: str("7")}))
		}},
		Scenario{Name: "functions are listed", play: func(r *run) {
			pages := lambda.NewListFunctionsPaginator(r.lambda, &lambda.ListFunctionsInput{MaxItems: new(int32(1))})
			for pages.HasMorePages() {
				for _, f := range must(pages.NextPage(r.ctx)).Functions {
					if strings.HasPrefix(*f.FunctionName, r.target.Stack) {
						r.note("function", f.FunctionName)
					}
				}
			}
		}},
		Scenario{Name: "a function is not invoked by a dry run", play: func(r *run) {
			r.see(r.lambda.Invoke(r.ctx, &lambda.InvokeInput{FunctionName: r.function(), InvocationType: types.InvocationTypeDryRun}))
		}},
		Scenario{Name: "a payload that is no JSON is refused", play: func(r *run) {
			r.see(r.lambda.Invoke(r.ctx, &lambda.InvokeInput{FunctionName: r.function(), Payload: []byte(`{`)}))
		}},
		Scenario{Name: "a mapping is described", play: func(r *run) {
			m := r.mapping()
			out := must(r.lambda.GetEventSourceMapping(r.ctx, &lambda.GetEventSourceMappingInput{UUID: m.UUID}))
			r.note("mapping", map[string]any{
				"UUID": out.UUID, "EventSourceArn": out.EventSourceArn, "FunctionArn": out.FunctionArn, "BatchSize": out.BatchSize, "State": out.State,
				"FunctionResponseTypes": out.FunctionResponseTypes, "MaximumBatchingWindowInSeconds": out.MaximumBatchingWindowInSeconds,
			})
			r.note("the same in the list", *m.UUID == *out.UUID)
		}},
		Scenario{Name: "a mapping that is not there", play: func(r *run) {
			none := str("99999999-9999-4999-8999-999999999999")
			r.see(r.lambda.GetEventSourceMapping(r.ctx, &lambda.GetEventSourceMappingInput{UUID: none}))
			r.see(r.lambda.UpdateEventSourceMapping(r.ctx, &lambda.UpdateEventSourceMappingInput{UUID: none, Enabled: new(true)}))
		}},
		Scenario{Name: "mappings are listed by their source", play: func(r *run) {
			m := r.mapping()
			for _, source := range []*string{m.EventSourceArn, str(*m.EventSourceArn + "-none")} {
				out := must(r.lambda.ListEventSourceMappings(r.ctx, &lambda.ListEventSourceMappingsInput{EventSourceArn: source}))
				r.note("mappings", len(out.EventSourceMappings))
			}
			r.see(r.lambda.ListEventSourceMappings(r.ctx, &lambda.ListEventSourceMappingsInput{FunctionName: str(r.name("none"))}))
		}},
		Scenario{Name: "changes of a mapping are checked", play: func(r *run) {
			m := r.mapping()
			for _, in := range []*lambda.UpdateEventSourceMappingInput{
				{BatchSize: new(int32(0))}, {BatchSize: new(int32(10_001))}, {BatchSize: new(int32(11)), MaximumBatchingWindowInSeconds: new(int32(0))}, {MaximumBatchingWindowInSeconds: new(int32(301))},
			} {
				in.UUID = m.UUID
				r.see(r.lambda.UpdateEventSourceMapping(r.ctx, in))
			}
			after := r.mapping()
			r.note("batch size", after.BatchSize)
			r.note("state", after.State)
		}},
	)
}
