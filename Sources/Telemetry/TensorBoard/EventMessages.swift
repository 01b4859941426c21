import Protobuf

/// Messages of TensorFlow's and TensorBoard's files event.proto, summary.proto, tensor.proto and plugin_data.proto (hparams):
/// the fields that dtrain writes.
enum EventMessages {
    /// `Event`: `wall_time` 1, `step` 2, then one of `file_version` 3, `summary` 5, `session_log` 7.
    static func event(step: Int, seconds: Double, _ what: (inout ProtobufMessage) -> Void) -> [UInt8] {
        ProtobufMessage { event in
            event.double(1, seconds)
            event.integer(2, step)
            what(&event)
        }.encoded
    }

    static func version(seconds: Double) -> [UInt8] { event(step: 0, seconds: seconds) { $0.text(3, "brain.Event:2") } }

    /// `SessionLog` with `status` START: readers forget what they have of this step and later ones.
    static func start(step: Int, seconds: Double) -> [UInt8] {
        event(step: step, seconds: seconds) { $0.message(7) { $0.integer(1, 1) } }
    }

    static func scalars(_ values: [(tag: String, value: Float)], step: Int, seconds: Double) -> [UInt8] {
        event(step: step, seconds: seconds) { event in
            event.message(5) { summary in
                for (tag, value) in values {
                    summary.message(1) {
                        $0.text(1, tag)
                        $0.float(2, value)
                    }
                }
            }
        }
    }

    /// A picture; `png` is the file.
    static func image(_ tag: String, png: [UInt8], width: Int, height: Int, step: Int, seconds: Double) -> [UInt8] {
        summary(tag, step: step, seconds: seconds) {
            $0.message(4) { image in
                image.integer(1, height)
                image.integer(2, width)
                image.integer(3, 3)
                image.bytes(4, png)
            }
        }
    }

    /// Markdown: a tensor of one string for the plugin `text`.
    static func text(_ tag: String, _ markdown: String, step: Int, seconds: Double) -> [UInt8] {
        summary(tag, step: step, seconds: seconds) { value in
            value.message(9) { metadata in
                metadata.message(1) { $0.text(1, "text") }
                metadata.integer(4, 2)
            }
            value.message(8) { tensor in
                tensor.integer(1, 7)
                tensor.message(2) { $0.message(2) { $0.integer(1, 1) } }
                tensor.text(8, markdown)
            }
        }
    }

    /// `SessionStartInfo` for the plugin `hparams`: values by name, the run's name and start.
    static func hyperparameters(_ values: [(name: String, value: MetricValue)], group: String, step: Int, seconds: Double) -> [UInt8] {
        summary("_hparams_/session_start_info", step: step, seconds: seconds) { value in
            value.message(9) { metadata in
                metadata.message(1) { plugin in
                    plugin.text(1, "hparams")
                    plugin.message(2) { data in
                        data.message(3) { session in
                            for (name, value) in values {
                                session.message(1) { entry in
                                    entry.text(1, name)
                                    entry.message(2) { Self.value(value, &$0) }
                                }
                            }
                            session.text(4, group)
                            session.double(5, seconds)
                        }
                    }
                }
            }
            value.message(8) { tensor in
                tensor.integer(1, 1)
                tensor.message(2) { _ in }
                tensor.float(5, 0)
            }
        }
    }

    /// `google.protobuf.Value`: a number 2, a text 3 or a truth value 4.
    private static func value(_ value: MetricValue, _ message: inout ProtobufMessage) {
        switch value {
        case .integer(let number): message.double(2, Double(number))
        case .number(let number): message.double(2, number)
        case .text("true"): message.integer(4, 1)
        case .text("false"): message.integer(4, 0)
        case .text(let text): message.text(3, text)
        case .object: message.text(3, value.json)
        }
    }

    private static func summary(_ tag: String, step: Int, seconds: Double, _ fill: (inout ProtobufMessage) -> Void) -> [UInt8] {
        event(step: step, seconds: seconds) { event in
            event.message(5) { summary in
                summary.message(1) {
                    $0.text(1, tag)
                    fill(&$0)
                }
            }
        }
    }

    /// A record of TFRecord: its length, the length's masked checksum, the data, their masked checksum; little-endian.
    static func record(_ data: [UInt8]) -> [UInt8] {
        func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let length = bytes(UInt64(data.count))
        return length + bytes(CRC32C.masked(length)) + data + bytes(CRC32C.masked(data))
    }
}
