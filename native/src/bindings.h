// What the files of the Python module share: arrays (DLPack, so torch tensors as they are), checked before any memory is
// touched.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "ostinato/layer.h"

namespace nb = nanobind;
using namespace nb::literals;

using Array = nb::ndarray<nb::device::cpu, nb::c_contig>;
using Arrays = std::vector<Array>;
using Maybe = std::optional<Array>;
using Sizes = nb::ndarray<const int64_t, nb::ndim<1>, nb::device::cpu, nb::c_contig>;

inline ostinato::CellKind kind_of(const std::string& cell) {
  using ostinato::CellKind;
  if (cell == "elman") return CellKind::elman_tanh;
  if (cell == "elman_relu") return CellKind::elman_relu;
  if (cell == "lstm") return CellKind::lstm;
  if (cell == "gru") return CellKind::gru;
  throw std::invalid_argument("the native core knows no cell `" + cell + "`");
}

inline ostinato::Precision precision_of(const std::string& name) {
  using ostinato::Precision;
  if (name == "full") return Precision::full;
  if (name == "int8") return Precision::int8;
  if (name != "bf16") throw std::invalid_argument("the precision must be full, bf16 or int8. Received: '" + name + "'");
  if (!ostinato::target().has_bf16)
    throw std::invalid_argument("target `" + std::string(ostinato::target().name) + "` has no bf16 products");
  return Precision::bf16;
}

template <class T>
T* checked(const Array& array, const char* name, std::vector<int64_t> shape) {
  bool fits = array.ndim() == shape.size() && array.dtype() == nb::dtype<T>();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = static_cast<int64_t>(array.shape(i)) == shape[i];
  if (fits) return static_cast<T*>(array.data());
  std::string wanted, found;
  for (int64_t size : shape) wanted += (wanted.empty() ? "" : ", ") + std::to_string(size);
  for (size_t i = 0; i < array.ndim(); ++i) found += (found.empty() ? "" : ", ") + std::to_string(array.shape(i));
  throw std::invalid_argument(std::string("`") + name + "` must be (" + wanted + ") in the dtype of the others. Received: (" +
                              found + ") of " + std::to_string(array.dtype().bits) + " bits");
}

template <class T>
T* checked(const Maybe& array, const char* name, std::vector<int64_t> shape) {
  return array ? checked<T>(*array, name, std::move(shape)) : nullptr;
}

// The array called `name` in a dictionary, or null.
template <class T>
T* entry(const nb::dict& from, const char* name, std::vector<int64_t> shape) {
  if (!from.contains(name)) return nullptr;
  return checked<T>(nb::cast<Array>(from[name]), name, std::move(shape));
}

void bind_ngrams(nb::module_& m);
void bind_convolutions(nb::module_& m);
void bind_linear(nb::module_& m);
void bind_stream(nb::module_& m);
