(subject, payload) => payload
