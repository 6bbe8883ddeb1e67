package cloudformation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
)

// serve deploys templates of SSM parameters, and serves what is deployed.
func serve(t *testing.T, templates map[string]string) *cfn.Client {
	t.Helper()
	var parsed []*cloudformation.Template
	for name, text := range templates {
		template, err := cloudformation.Parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, template)
	}
	types := cloudformation.Types{"AWS::SSM::Parameter": cloudformation.Provide(
		func(_ context.Context, _ cloudformation.Resource, p struct{ Name string }) (cloudformation.Attributes, error) {
			return cloudformation.Attributes{Ref: p.Name}, nil
		})}
	stacks, err := cloudformation.Deploy(t.Context(), cloudformation.Environment{AccountID: "000000000000", Region: "us-east-1"}, types, nil, parsed...)
	if err != nil {
		t.Fatal(err)
	}
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.Query(cloudformation.Service, cloudformation.Stacks(func() []cloudformation.Stack { return stacks }).Query())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return cfn.New(cfn.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	})
}

const shop = `{"Description": "The <shop>", "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/shop"}}},
	"Outputs": {"Name": {"Description": "d", "Value": {"Ref": "P"}, "Export": {"Name": "shop-name"}}, "Own": {"Value": "x & y"}}}`

const bank = `{"Resources": {"Q": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/bank"}}}}`

func TestTheSDKReadsWhatIsDeployed(t *testing.T) {
	c := serve(t, map[string]string{"shop": shop, "bank": bank})
	ctx := t.Context()
	all, err := c.DescribeStacks(ctx, &cfn.DescribeStacksInput{})
	if err != nil || len(all.Stacks) != 2 || *all.Stacks[0].StackName != "bank" || all.Stacks[1].StackStatus != cfntypes.StackStatusCreateComplete {
		t.Fatal(err, all)
	}
	one := all.Stacks[1]
	if *one.Description != "The <shop>" || one.CreationTime.IsZero() || len(one.Outputs) != 2 || *one.Outputs[0].ExportName != "shop-name" || *one.Outputs[1].OutputValue != "x & y" {
		t.Fatalf("stack %+v", one)
	}
	byID, err := c.DescribeStacks(ctx, &cfn.DescribeStacksInput{StackName: one.StackId})
	if err != nil || len(byID.Stacks) != 1 || *byID.Stacks[0].StackName != "shop" {
		t.Fatal(err, byID)
	}
	resources, err := c.DescribeStackResources(ctx, &cfn.DescribeStackResourcesInput{PhysicalResourceId: aws.String("/bank")})
	if err != nil || len(resources.StackResources) != 1 || *resources.StackResources[0].LogicalResourceId != "Q" || *resources.StackResources[0].StackName != "bank" {
		t.Fatal(err, resources)
	}
	exports, err := c.ListExports(ctx, &cfn.ListExportsInput{})
	if err != nil || len(exports.Exports) != 1 || *exports.Exports[0].Value != "/shop" || *exports.Exports[0].ExportingStackId != *one.StackId {
		t.Fatal(err, exports)
	}
	template, err := c.GetTemplate(ctx, &cfn.GetTemplateInput{StackName: aws.String("shop")})
	if err != nil || *template.TemplateBody != shop {
		t.Fatal(err, template)
	}
	deleted, err := c.ListStacks(ctx, &cfn.ListStacksInput{StackStatusFilter: []cfntypes.StackStatus{cfntypes.StackStatusDeleteComplete}})
	if err != nil || len(deleted.StackSummaries) != 0 {
		t.Fatal(err, deleted)
	}
}

func TestManyResourcesComeInPages(t *testing.T) {
	resources := map[string]any{}
	for i := range 250 {
		resources[fmt.Sprintf("R%03d", i)] = map[string]any{"Type": "AWS::SSM::Parameter", "Properties": map[string]string{"Name": fmt.Sprint(i)}}
	}
	text, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	pages := cfn.NewListStackResourcesPaginator(serve(t, map[string]string{"big": string(text)}), &cfn.ListStackResourcesInput{StackName: aws.String("big")})
	seen := map[string]bool{}
	n := 0
	for ; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			seen[*r.LogicalResourceId] = true
		}
	}
	if n != 3 || len(seen) != 250 {
		t.Fatalf("%d pages, %d resources", n, len(seen))
	}
}

func TestWhatCannotBeReadIsAnErrorInCloudFormationsWords(t *testing.T) {
	c := serve(t, map[string]string{"shop": shop})
	ctx := t.Context()
	_, unknown := c.DescribeStacks(ctx, &cfn.DescribeStacksInput{StackName: aws.String("nope")})
	_, resource := c.DescribeStackResources(ctx, &cfn.DescribeStackResourcesInput{StackName: aws.String("shop"), LogicalResourceId: aws.String("Z")})
	_, token := c.ListExports(ctx, &cfn.ListExportsInput{NextToken: aws.String("made up")})
	_, write := c.CreateStack(ctx, &cfn.CreateStackInput{StackName: aws.String("new")})
	_, parameter := c.GetTemplate(ctx, &cfn.GetTemplateInput{StackName: aws.String("shop"), ChangeSetName: aws.String("set")})
	for _, test := range []struct {
		err        error
		code, text string
	}{
		{unknown, "ValidationError", "Stack with id nope does not exist"},
		{resource, "ValidationError", "Resource Z does not exist for stack shop"},
		{token, "ValidationError", `NextToken "made up" is not valid`},
		{write, "InvalidAction", "operation CreateStack is not supported"},
		{parameter, "ValidationException", "parameter ChangeSetName is not supported"},
	} {
		var api smithy.APIError
		if !errors.As(test.err, &api) || api.ErrorCode() != test.code || !strings.Contains(api.ErrorMessage(), test.text) {
			t.Errorf("got %v, want %s with %q", test.err, test.code, test.text)
		}
	}
}
