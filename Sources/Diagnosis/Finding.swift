/// What a check found, one line.
package struct Finding: Sendable, Equatable {
    package enum Severity: String, Sendable, CaseIterable {
        case ok = "OK"
        /// Worth knowing; training works.
        case note
        /// Training will fail, learn the wrong thing, or be much slower than it could be.
        case problem
    }

    package let severity: Severity
    /// What was looked at, such as `labels`.
    package let subject: String
    /// What was found.
    package let text: String
    /// What to do; nil where all is well.
    package let cure: String?

    package static func ok(_ subject: String, _ text: String) -> Finding { Finding(severity: .ok, subject: subject, text: text, cure: nil) }

    package static func note(_ subject: String, _ text: String, cure: String) -> Finding {
        Finding(severity: .note, subject: subject, text: text, cure: cure)
    }

    package static func problem(_ subject: String, _ text: String, cure: String) -> Finding {
        Finding(severity: .problem, subject: subject, text: text, cure: cure)
    }

    private init(severity: Severity, subject: String, text: String, cure: String?) {
        (self.severity, self.subject, self.text, self.cure) = (severity, subject, text, cure)
    }

    /// Without its severity: `labels: they are ...; hint: ...`.
    package var warning: String { "\(subject): \(text)" + (cure.map { "; hint: \($0)" } ?? "") }

    /// `problem  labels: they are ...; hint: ...`
    package var line: String {
        let mark = severity.rawValue + String(repeating: " ", count: 9 - severity.rawValue.count)
        return mark + warning
    }
}
