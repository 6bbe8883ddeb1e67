package stacks

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/penstock-dev/penstock/functions/connector/topictags"
)

// declareTopics tells connectors, by the function's tags, what to invoke it for.
func (f *Function) declareTopics(p *project) {
	m := f.Manifest
	if len(m.Topics) == 0 && m.Namespace == "" {
		return
	}
	tags, err := topictags.Declaration{Environment: p.names.Bus(), Function: m.Name, Namespace: m.Namespace, Topics: m.Topics}.Tags()
	if err != nil {
		panic(err) // the manifest is valid
	}
	all := awscdk.Tags_Of(f.Lambda)
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value := tags[key]
		all.Add(&key, &value, nil)
	}
}
