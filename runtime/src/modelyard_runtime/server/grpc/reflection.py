"""grpc.reflection, v1 and v1alpha: what this server speaks, by the protocols' own names.

The descriptors are ours with the package names put back that the wire has; see the `.proto` files.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.protobuf import any_pb2, descriptor_pool, duration_pb2, wrappers_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from modelyard_runtime.oip import open_inference_pb2
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.messages import health_pb2
from modelyard_runtime.server.grpc.messages import reflection_pb2 as pb
from modelyard_runtime.server.grpc.methods import Method, parse
from modelyard_runtime.server.grpc.streams import Incoming, stream
from modelyard_runtime.server.problems import INVALID_ARGUMENT, NOT_FOUND
from modelyard_runtime.tfserving import predict_pb2, tensor_pb2

VERSIONS = ("v1", "v1alpha")


class _Published(NamedTuple):
    """A file as the world knows it, with a package of ours and the public one."""

    ours: FileDescriptor
    file: str
    package: str


_FILES = (
    _Published(open_inference_pb2.DESCRIPTOR, "open_inference_grpc.proto", "inference"),
    _Published(tensor_pb2.DESCRIPTOR, "tensorflow/core/framework/tensor.proto", "tensorflow"),
    _Published(
        predict_pb2.DESCRIPTOR, "tensorflow_serving/apis/prediction_service.proto", "tensorflow.serving"
    ),
    _Published(health_pb2.DESCRIPTOR, "grpc/health/v1/health.proto", "grpc.health.v1"),
    *(
        _Published(pb.DESCRIPTOR, f"grpc/reflection/{version}/reflection.proto", f"grpc.reflection.{version}")
        for version in VERSIONS
    ),
)
_FOREIGN = (any_pb2.DESCRIPTOR, duration_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR)
"""protobuf's own, which files of ours import."""


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """Return all that is published, under public names; made once, at the first question."""
    made = descriptor_pool.DescriptorPool()
    for foreign in _FOREIGN:
        made.AddSerializedFile(foreign.serialized_pb)
    for published in _FILES:
        made.AddSerializedFile(_renamed(published).SerializeToString())
    return made


@cache
def services() -> tuple[str, ...]:
    """Return the full names of all services."""
    found = []
    for published in _FILES:
        described = pool().FindFileByName(published.file)
        found += [service.full_name for service in described.services_by_name.values()]
    return tuple(sorted(found))


def answer(asked: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
    """Answer one question."""
    reply = pb.ServerReflectionResponse(valid_host=asked.host, original_request=asked)
    kind = asked.WhichOneof("message_request")
    if kind is None:
        reply.error_response.error_code = INVALID_ARGUMENT
        reply.error_response.error_message = "the request asks for nothing"
        return reply
    try:
        _ANSWERS[kind](asked, reply)
    except KeyError as error:
        reply.error_response.error_code = NOT_FOUND
        reply.error_response.error_message = f"not found: {error.args[0]}"
    return reply


def _renamed(published: _Published) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    published.ours.CopyToProto(proto)
    proto.name, proto.package = published.file, published.package
    files = {one.ours.name: one.file for one in _FILES}
    for number, name in enumerate(proto.dependency):
        proto.dependency[number] = files.get(name, name)
    for message in proto.message_type:
        _rename_message(message, published)
    for service in proto.service:
        for method in service.method:
            method.input_type = _public(method.input_type, published)
            method.output_type = _public(method.output_type, published)
    return proto


def _rename_message(message: DescriptorProto, published: _Published) -> None:
    for field in message.field:
        if field.type_name:
            field.type_name = _public(field.type_name, published)
    for nested in message.nested_type:
        _rename_message(nested, published)


def _public(name: str, published: _Published) -> str:
    for one in (published, *_FILES):
        ours = f".{one.ours.package}."
        if name.startswith(ours):
            return f".{one.package}.{name[len(ours) :]}"
    return name


def _list(_asked: pb.ServerReflectionRequest, reply: pb.ServerReflectionResponse) -> None:
    for name in services():
        reply.list_services_response.service.add(name=name)


def _file(asked: pb.ServerReflectionRequest, reply: pb.ServerReflectionResponse) -> None:
    _describe(pool().FindFileByName(asked.file_by_filename), reply)


def _symbol(asked: pb.ServerReflectionRequest, reply: pb.ServerReflectionResponse) -> None:
    _describe(pool().FindFileContainingSymbol(asked.file_containing_symbol), reply)


def _extension(asked: pb.ServerReflectionRequest, _reply: pb.ServerReflectionResponse) -> None:
    wanted = asked.file_containing_extension
    raise KeyError(f"extension {wanted.extension_number} of {wanted.containing_type}")


def _extensions(asked: pb.ServerReflectionRequest, reply: pb.ServerReflectionResponse) -> None:
    name = asked.all_extension_numbers_of_type
    pool().FindMessageTypeByName(name)
    reply.all_extension_numbers_response.base_type_name = name


_ANSWERS = {
    "list_services": _list,
    "file_by_filename": _file,
    "file_containing_symbol": _symbol,
    "file_containing_extension": _extension,
    "all_extension_numbers_of_type": _extensions,
}


def _describe(file: FileDescriptor, reply: pb.ServerReflectionResponse) -> None:
    """Give a file and all that it imports, each once."""
    pending, seen = [file], set()
    while pending:
        one = pending.pop(0)
        if one.name not in seen:
            seen.add(one.name)
            reply.file_descriptor_response.file_descriptor_proto.append(one.serialized_pb)
            pending += one.dependencies


async def _respond(call: Call, _incoming: Incoming, message: bytes) -> None:
    reply = answer(parse(pb.ServerReflectionRequest, message))
    await call.answer((reply.SerializeToString(),), last=False)


METHODS: dict[str, Method] = {
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": stream(_respond)
    for version in VERSIONS
}
