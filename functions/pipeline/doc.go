// Package pipeline is the language of functions without code: a document goes
// through stages, which match, shape, validate and emit it, and call Lambda
// functions on the way.
//
//	[
//	  {"match":            {"data.amount": {"$gte": 1000}}},
//	  {"externalFunction": {"functionName": "score-risk", "as": "risk", "payload": [{"project": {"account": "$data.accountId"}}]}},
//	  {"match":            {"risk.score": {"$gt": 0.8}}},
//	  {"emit":             {"event": "risk/FLAGGED", "data": {"account": "$data.accountId", "score": "$risk.score"}}}
//	]
//
// [Parse] checks all of it, [Pipeline.RunBatch] runs it. The syntax and its
// meaning are those of MongoDB's aggregation pipelines, of which this is a part;
// externalFunction and validate are those of Atlas Stream Processing. The package
// knows no AWS service: what a pipeline does to the world, it does through
// [Effects].
//
// # Documents
//
// The document that an event makes is the event's detail, as the bus has it and
// as a subscription's filter sees it: {"metadata": {…}, "data": {…}}. A stage
// receives what the one before it passed on.
//
// The fields of an object have an order, which stages keep. What no stage
// touches comes out as it went in, to the last digit and space. Not accepted are
// what is no JSON object, an object that has a field twice, text that is not
// UTF-8, and more than 100 levels of objects and arrays. A document that has grown beyond 16 MiB ([MaxBytes]) goes no further.
//
// # What becomes of a document
//
// A document passed, if it came out behind the last stage; or it was discarded by
// a match or a validate; or it is dead: it goes to the DLQ, with the stage, the
// reason and the document as the stage received it ([DeadLetter]); or it failed,
// and its event is to be delivered again. What an expression has no value for
// ($divide by zero) is dead, and so is a document that is not accepted. What it
// emitted is published if it passed or was discarded.
//
// # Stages
//
// A stage is an object with one field: its name, with or without a $ before it.
//
//   - match: {query}. Lets documents pass for which the query holds; discards the
//     others. See Queries.
//   - project: {"a": 1, "b.c": 1, "d": expression}. Keeps the fields that it
//     names, in the document's order, and behind them what it computes, in the
//     order of the stage; or with {"a": 0, "b.c": 0} keeps all but those. The two
//     do not mix, but for the field _id, which stays in the first form without
//     being named, unless there is {"_id": 0}. Numbers and booleans say whether a
//     field stays; as values they are written {"$literal": 1}.
//   - addFields, set: {"a": expression, "b.c": expression}. Two names of one stage:
//     replaces fields where they are, and adds new ones behind the others.
//   - unset: "a", or ["a", "b.c"]. Removes fields.
//   - replaceRoot: {"newRoot": expression}. Goes on with another object.
//   - externalFunction: calls a Lambda function. See below.
//   - validate: {"validator": {"$jsonSchema": {…}}, "validationAction": "discard"}.
//     Discards documents that violate the JSON Schema (draft 2020-12, unless it
//     says otherwise), or with "dlq" sends them there, with the path of the fault.
//   - emit: {"event": "savings/FEE_CHARGED", "data": expression}. Makes an event, of
//     the document's field data ("$data") if it does not say otherwise, and passes
//     the document on. The type is one that the function's manifest lists as
//     "publishes"; data that violates its schema is dead. The event's id derives
//     from the event key, the type and a number, so that a redelivery makes the
//     same event (see [events.DeriveID]).
//
// The path of a field in project, addFields, set and unset is written with dots,
// {"a.b": …}, or as objects in objects, {"a": {"b": …}}, which is the same: it
// names the field b of a, and leaves the others in a alone. Through an array a
// path goes into each element. An expression that has no value leaves the field
// out, or removes it; $$REMOVE is one without. Where a path leads into something
// that is no object, a computed field replaces it by one. The expressions of one
// stage all see the document as it came to the stage.
//
// # Expressions
//
//   - "$a.b" is the field b of the field a. Of an array it is the array of what
//     its elements that are objects have there: "$lines.price" of {"lines":
//     [{"price": 1}, {}, {"price": 2}]} is [1, 2]. An array in an array is not
//     entered, and a number is a name like any other, no index.
//   - "$$ROOT" and "$$CURRENT" are the whole document; "$$REMOVE" is no value; $map
//     has variables of its own. "$$ROOT.a" is "$a".
//   - {"x": expression, …} is an object, without the fields that have no value;
//     [expression, …] an array, with null for them.
//   - {"$operator": operands} is what the operator makes of its operands: an array
//     of expressions, or one expression. Where the only operand is itself an array
//     it stands in another one: {"$size": [[1, 2]]}.
//   - All else is itself. {"$literal": "$a"} is the text $a.
//
// The operators, all that there are:
//
//	$literal      what stands there, unread
//	$add          the sum of numbers; null if one is null or missing
//	$multiply     the product of numbers; null if one is null or missing
//	$subtract     the first less the second; null if one is null or missing
//	$divide       the first by the second, in floating point; null if one is null or missing
//	$sum          the sum of the numbers among the operands, or if there is one
//	              operand that is an array, among its elements; all else counts 0
//	$eq $ne $gt $gte $lt $lte
//	              compare two values of any types, see Values
//	$and $or      true if all operands are true, if one is; those that cannot
//	              change the result are not evaluated
//	$not          true if the operand is not
//	$cond         {"if": …, "then": …, "else": …}, or an array of the three
//	$ifNull       the first operand that is neither null nor missing, or the last
//	$concat       strings, joined; null if one is null or missing
//	$toString     a string of a boolean, a number or a string; null of null or missing
//	$toUpper $toLower
//	              a string or number with its letters of ASCII in upper or lower
//	              case; "" of null or missing
//	$size         how many elements an array has
//	$arrayElemAt  the element of an array at an index, from 0, or from the end
//	              with -1; none beyond; null if one of the two is null or missing
//	$map          {"input": array, "as": "name", "in": expression}: the array of what
//	              the expression makes of each element, which is $$name in it;
//	              $$this without "as". null if the input is null or missing
//
// An operand of another type is an error, as it is in MongoDB.
//
// # Values
//
// A field may be missing, which is not the same as null; most operators treat the
// two alike, comparisons do not. False are false, null, 0 and what is missing; all
// else is true, also "" and [].
//
// A number that is spelled without a fraction or an exponent and has room in 64
// bits is a whole number; $add, $subtract, $multiply and $sum of whole numbers are
// exact, and where a result has no room go on in floating point. All other numbers
// are in floating point. JSON does not tell the two apart: a result in floating
// point that is whole is written without a fraction. There are no infinities: what
// would be one is an error. $sum carries along what additions round off.
//
// Across types, the order is: missing, null, numbers, strings, objects, arrays,
// booleans. Numbers compare by value, exactly; strings byte by byte; objects field
// by field, each by type, name and value, so that two of which one has another
// order of fields are not equal; arrays element by element.
//
// # Queries
//
// {"a.b": 5} holds if the field is 5; {"a.b": {"$gt": 5, "$lt": 9}} if all of its
// tests do; fields beside one another must all hold. If the field is an array, it
// is enough if one element satisfies the test, for each test any one. On the way,
// an array stands for all its elements, and a number in a path is also an index.
//
//	$eq $ne $gt $gte $lt $lte
//	              compare with a value, but only with values of its type: {"$gt": 5}
//	              holds for no string. An object or an array is compared as a whole.
//	              null equals what is missing
//	$in $nin      one of an array of values, none of them
//	$exists       true: the field is there, be it null; false: it is not
//	$regex        a regular expression (RE2's syntax: no look-around, no
//	              back-references), with "$options" i, m and s beside it
//	$not          {"$not": {"$gt": 5}}: the tests in it do not hold, or there is no field
//	$and $or $nor beside fields: an array of queries of which all, one, none must hold
//	$expr         beside fields: an expression that must be true
//
// $ne, $nin and $not hold where the opposite does not: also where there is no
// field.
//
// # externalFunction
//
//	functionName    the Lambda function's name or ARN, perhaps with a version or an alias
//	connectionName  a role and region of the environment's settings; without it the pipeline's own
//	execution       "sync" (the default) waits for the response; "async" does not
//	as              the path of the field for the response. Without it a sync call is
//	                an error but in the last stage, with it an async one
//	payload         stages that make the request of the document, of project,
//	                addFields, set and replaceRoot only; without them it is the document
//	onError         "dlq" (the default), "ignore" or "fail"
//	parallelism     how many calls are under way at once, 1 (the default) to 64; more
//	                than 1 needs sync
//	partitionBy     an expression; documents of a batch for which it has the same value
//	                are called for in their order. Needs a parallelism of more than 1
//
// The response is JSON. One of no bytes sets no field; null does. One that is not
// JSON, and a request that cannot be made of the document, are dead, whatever
// onError says. Otherwise, when a call has failed:
//
//   - "dlq": the document is dead.
//   - "ignore": it passes on as it is, without a response.
//   - "fail": it failed, and is delivered again.
//
// That is so for errors of Lambda's API (throttling that outlasts its retries, a
// timeout), sync and async, and for errors of the function with sync only: nobody
// waits for an async one, whose retries are Lambda's. A call that cannot succeed
// because of how things are set up (access denied, no such function) fails the
// document whatever onError says, and so does time that runs out.
//
// With a parallelism of 1, documents are called for in the order of the batch.
// There is no order across batches, and a document that failed comes back behind
// those that came after it.
//
// # Not as in MongoDB
//
// There is one type of whole numbers and no dates, decimals or binary data, since
// JSON has none. Numbers become strings in their shortest form. Regular
// expressions are RE2's. Operands of an operator, other than of $and, $or, $cond
// and $ifNull, are all evaluated, also behind one that is null. A field whose name
// has a dot or begins with $ passes through, but no path leads to it.
package pipeline
