package storage

// SampleInsert returns an insertion with a value for every field, changed by
// edit.
func SampleInsert(edit ...func(*Insert)) Insert {
	i := Insert{sampleRow()}
	for _, e := range edit {
		e(&i)
	}
	return i
}

// SampleUpdate returns a change with a value for every field, changed by edit.
func SampleUpdate(edit ...func(*Update)) Update {
	u := Update{sampleRow()}
	for _, e := range edit {
		e(&u)
	}
	return u
}

// SampleDelete returns a deletion with a value for every field, changed by
// edit.
func SampleDelete(edit ...func(*Delete)) Delete {
	d := Delete{sampleRow()}
	for _, e := range edit {
		e(&d)
	}
	return d
}

func sampleRow() Row {
	return Row{RowID: "row-4711", Container: "invoices", Bucket: "2026", Dataset: "accounting"}
}
