package local_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/infra/local"
)

const archive = `"Archive": {"Type": "AWS::Events::Archive", "Properties": {"ArchiveName": "shop-local", "SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]}, "RetentionDays": 7}}`

func TestAnArchiveOfATemplateKeepsEventsOverARestart(t *testing.T) {
	dir := t.TempDir()
	env := openShop(t, dir, bus, ordersQueue, archive)
	events := eventbridge.NewFromConfig(awsConfig(env.Endpoint()))
	published, err := events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{EventBusName: aws.String("shop-local"), Source: aws.String("shop"), DetailType: aws.String("ORDERED"), Detail: aws.String("{}")},
	}})
	if err != nil || published.FailedEntryCount != 0 {
		t.Fatal(err, published)
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	env = openShop(t, dir, bus, ordersQueue, archive)
	events = eventbridge.NewFromConfig(awsConfig(env.Endpoint()))
	kept, err := events.DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: aws.String("shop-local")})
	if err != nil || kept.EventCount != 1 || *kept.RetentionDays != 7 {
		t.Fatal(err, kept)
	}
	_, err = events.StartReplay(t.Context(), &eventbridge.StartReplayInput{
		ReplayName: aws.String("again"), EventSourceArn: kept.ArchiveArn, Destination: &types.ReplayDestination{Arn: kept.EventSourceArn},
		EventStartTime: aws.Time(time.Now().Add(-time.Hour)), EventEndTime: aws.Time(time.Now().Add(time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the replay has ended", func() bool {
		replay, err := events.DescribeReplay(t.Context(), &eventbridge.DescribeReplayInput{ReplayName: aws.String("again")})
		return err == nil && replay.State == types.ReplayStateCompleted
	})
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	env = openShop(t, dir, bus, ordersQueue)
	gone, err := eventbridge.NewFromConfig(awsConfig(env.Endpoint())).ListArchives(t.Context(), &eventbridge.ListArchivesInput{})
	if err != nil || len(gone.Archives) != 0 {
		t.Fatal("an archive that no template has is still there", err, gone)
	}
}

func TestAnArchiveWithAKeyOfItsOwnIsRefusedByName(t *testing.T) {
	_, err := local.Start(t.Context(), config(shopOf(bus, edit(archive, `"RetentionDays": 7`, `"KmsKeyIdentifier": "k"`)), t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "property KmsKeyIdentifier is not supported") {
		t.Errorf("got %v", err)
	}
}
