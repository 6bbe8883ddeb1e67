package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

// stackTimeout bounds how long the stack of the scenarios may take to come, and
// to go.
const stackTimeout = 10 * time.Minute

// deploy deploys the stack of the scenarios, and returns what deletes it again,
// also with an error. Its function has the code of the outbox's relay, which is in
// every environment: nothing is uploaded for it.
func (v *verification) deploy(ctx context.Context, stack string) (remove func() error, err error) {
	client := cloudformation.NewFromConfig(v.AWS)
	nothing := func() error { return nil }
	code, err := v.deployedCode(ctx, client)
	if err != nil {
		return nothing, err
	}
	fmt.Fprintf(v.notes, "deploying the stack %s\n", stack)
	template := string(scenarios.Template(stack, code))
	if _, err := client.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: &stack, TemplateBody: &template, Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam}, OnFailure: types.OnFailureDoNothing,
	}); err != nil {
		return nothing, fmt.Errorf("deploying the stack %s: %w", stack, err)
	}
	remove = func() error {
		fmt.Fprintf(v.notes, "deleting the stack %s\n", stack)
		// Also when Ctrl-C has ended ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stackTimeout)
		defer cancel()
		_, err := client.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &stack})
		if err == nil {
			err = cloudformation.NewStackDeleteCompleteWaiter(client).Wait(ctx, &cloudformation.DescribeStacksInput{StackName: &stack}, stackTimeout)
		}
		if err != nil {
			return fmt.Errorf("the stack %s is left, and should be deleted: %w", stack, err)
		}
		return nil
	}
	if err := cloudformation.NewStackCreateCompleteWaiter(client).Wait(ctx, &cloudformation.DescribeStacksInput{StackName: &stack}, stackTimeout); err != nil {
		return remove, fmt.Errorf("deploying the stack %s: %w", stack, err)
	}
	return remove, nil
}

// deployedCode finds where the code of a function of the data stack is.
func (v *verification) deployedCode(ctx context.Context, client *cloudformation.Client) (scenarios.Code, error) {
	stack := v.Names.Stack(names.DataStack)
	out, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &stack})
	if err != nil {
		return scenarios.Code{}, fmt.Errorf("reading the stack %s (is the environment deployed?): %w", stack, err)
	}
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return scenarios.Code{}, err
	}
	id, err := arn.Parse(aws.ToString(described.Stacks[0].StackId))
	if err != nil {
		return scenarios.Code{}, err
	}
	return codeIn(aws.ToString(out.TemplateBody), id)
}

// codeIn finds the code of a function in a template that the CDK has made, of the
// stack with the given ARN.
func codeIn(template string, stack arn.ARN) (scenarios.Code, error) {
	var parsed struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				Code struct {
					S3Bucket json.RawMessage
					S3Key    string
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(template), &parsed); err != nil {
		return scenarios.Code{}, err
	}
	known := strings.NewReplacer("${AWS::AccountId}", stack.AccountID, "${AWS::Region}", stack.Region, "${AWS::Partition}", stack.Partition)
	for _, id := range sorted(parsed.Resources) {
		r := parsed.Resources[id]
		if r.Type != "AWS::Lambda::Function" || r.Properties.Code.S3Key == "" {
			continue
		}
		// The bucket of the bootstrap stack: a text, or one with the account in it.
		var bucket string
		var sub struct {
			Sub string `json:"Fn::Sub"`
		}
		if json.Unmarshal(r.Properties.Code.S3Bucket, &bucket) != nil {
			if err := json.Unmarshal(r.Properties.Code.S3Bucket, &sub); err != nil {
				return scenarios.Code{}, fmt.Errorf("function %s: the bucket of its code: %w", id, err)
			}
			bucket = known.Replace(sub.Sub)
		}
		return scenarios.Code{Bucket: bucket, Key: r.Properties.Code.S3Key}, nil
	}
	return scenarios.Code{}, errors.New("the stack " + stack.Resource + " has no function whose code could be used")
}
