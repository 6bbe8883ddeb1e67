package stacks

// AnyResource is anyResource, for tests of templates.
var AnyResource = anyResource
