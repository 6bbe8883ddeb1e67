package main

import (
	"context"
	"fmt"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/storage"
	"github.com/penstock-dev/penstock/functions/system/storage-api/rows"
)

// eventOf makes the event that a record of the stream announces; false for one
// that announces none. The error is about an item that is no row.
//
// The id and the time are the record's own, so that a record which is delivered
// again makes the same event. Its user is the row's owner: whoever handles the
// event may act for the user on the data API, and finds the row there.
func eventOf(r awsevents.DynamoDBEventRecord) (events.Envelope, bool, error) {
	var before, after rows.Image
	var wasRow, isRow bool
	var e events.Event
	switch awsevents.DynamoDBOperationType(r.EventName) {
	case awsevents.DynamoDBOperationTypeInsert:
		if after, isRow = imageOf(r.Change.NewImage); isRow {
			e = storage.Insert{Row: place(after)}
		}
	case awsevents.DynamoDBOperationTypeModify:
		before, wasRow = imageOf(r.Change.OldImage)
		if after, isRow = imageOf(r.Change.NewImage); isRow {
			e = storage.Update{Row: place(after)}
		}
		if wasRow && isRow && before.Data == after.Data {
			return events.Envelope{}, false, nil
		}
	case awsevents.DynamoDBOperationTypeRemove:
		if after, isRow = imageOf(r.Change.OldImage); isRow {
			e = storage.Delete{Row: place(after)}
		}
	}
	if e == nil {
		return events.Envelope{}, false, fmt.Errorf("record %s (%s): its item is no row of the data API", r.Change.SequenceNumber, r.EventName)
	}
	envelope := events.Stamp(events.WithOrigin(context.Background(), events.Origin{UserID: after.Owner}), e)
	envelope.OccurredAt = r.Change.ApproximateCreationDateTime.UTC()
	envelope.ID = events.DeriveID(envelope.OccurredAt, r.EventID, e.EventType(), 0)
	envelope.CorrelationID = envelope.ID
	return envelope, true, nil
}

func imageOf(image map[string]awsevents.DynamoDBAttributeValue) (rows.Image, bool) {
	attributes := map[string]string{}
	for name, value := range image {
		if value.DataType() == awsevents.DataTypeString {
			attributes[name] = value.String()
		}
	}
	return rows.FromImage(attributes)
}

func place(i rows.Image) storage.Row {
	return storage.Row{RowID: i.ID, Container: i.Container, Bucket: i.Bucket, Dataset: i.Dataset}
}
