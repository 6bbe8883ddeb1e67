package auth

// SampleLogin returns a sign-in with a value for every field, changed by edit.
func SampleLogin(edit ...func(*Login)) Login {
	l := Login{
		UserID: "user-1001",
		Email:  "ada@example.com",
	}
	for _, e := range edit {
		e(&l)
	}
	return l
}

// SampleRegister returns a registration with a value for every field, changed
// by edit.
func SampleRegister(edit ...func(*Register)) Register {
	r := Register{
		UserID: "user-1001",
		Email:  "ada@example.com",
		Lang:   "de-CH",
	}
	for _, e := range edit {
		e(&r)
	}
	return r
}
