package local

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/sqs"
)

// How resources are removed, by the properties that they were created with.

func (e *Environment) removeEventBus(_ context.Context, _ cloudformation.Resource, p busProperties) (string, error) {
	return "", e.events.DeleteBus(p.Name)
}

func (e *Environment) removeArchive(_ context.Context, _ cloudformation.Resource, p archiveProperties) (string, error) {
	events, err := e.events.DeleteArchive(p.ArchiveName)
	return counted(events, "event"), err
}

func (e *Environment) removeRule(_ context.Context, _ cloudformation.Resource, p ruleProperties) (string, error) {
	return "", e.events.DeleteRule(p.bus(), p.Name)
}

func (e *Environment) removeQueue(_ context.Context, _ cloudformation.Resource, p queueProperties) (string, error) {
	messages, _ := e.sqs.Messages(p.QueueName)
	if err := e.sqs.DeleteQueue(p.QueueName); err != nil && !isNoSuchQueue(err) {
		return "", err
	}
	return counted(messages, "message"), nil
}

func (e *Environment) removeQueuePolicy(_ context.Context, _ cloudformation.Resource, p queuePolicyProperties) (string, error) {
	for _, url := range p.Queues {
		if err := e.sqs.SetAttributes(path.Base(url), sqs.Attributes{"Policy": ""}); err != nil && !isNoSuchQueue(err) {
			return "", err
		}
	}
	return "", nil
}

func isNoSuchQueue(err error) bool {
	refused, ok := errors.AsType[*awswire.Error](err)
	return ok && refused.Code == "QueueDoesNotExist"
}

func (e *Environment) removeTable(_ context.Context, _ cloudformation.Resource, p tableProperties) (string, error) {
	items, err := e.dynamodb.DeleteTable(p.TableName)
	return counted(items, "item"), err
}

func (e *Environment) removeFunction(_ context.Context, _ cloudformation.Resource, p functionProperties) (string, error) {
	e.lambda.DeleteFunction(p.FunctionName)
	return "", nil
}

// removeMapping returns when the batches that have begun are finished.
func (e *Environment) removeMapping(ctx context.Context, _ cloudformation.Resource, p mappingProperties) (string, error) {
	return "", e.lambda.DeleteMapping(ctx, lambda.MappingID(p.FunctionName, p.EventSourceArn))
}

func (e *Environment) removeEventInvokeConfig(_ context.Context, _ cloudformation.Resource, p eventInvokeProperties) (string, error) {
	e.lambda.DeleteEventInvokeConfig(p.FunctionName)
	return "", nil
}

func (e *Environment) removePermission(_ context.Context, r cloudformation.Resource, _ permissionProperties) (string, error) {
	e.lambda.DeletePermission(permissionID(r))
	return "", nil
}

func (e *Environment) removeLogGroup(_ context.Context, _ cloudformation.Resource, p logGroupProperties) (string, error) {
	return "", e.logs.DeleteGroup(p.LogGroupName)
}

func (e *Environment) removeRole(_ context.Context, r cloudformation.Resource, p roleProperties) (string, error) {
	e.iam.DeleteRole(nameOr(p.RoleName, r))
	return "", nil
}

func (e *Environment) removeRolePolicy(_ context.Context, r cloudformation.Resource, _ rolePolicyProperties) (string, error) {
	return "", e.iam.DeletePolicy(rolePolicyID(r))
}

func (e *Environment) removeManagedPolicy(_ context.Context, r cloudformation.Resource, p managedPolicyProperties) (string, error) {
	return "", e.iam.DeletePolicy(e.iam.PolicyARN(nameOr(p.ManagedPolicyName, r)))
}

func (e *Environment) removeBusPolicy(_ context.Context, _ cloudformation.Resource, p busPolicyProperties) (string, error) {
	return "", e.events.DeleteStatement(p.EventBusName, p.StatementId)
}

// counted says how many of something there are, or nothing for none.
func counted(n int, what string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
