/*
 *  weight_bounds.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_WEIGHT_BOUNDS_H
#define PYRAMIDAL_WEIGHT_BOUNDS_H

#include <algorithm>
#include <limits>
#include <string>

#include "dictionary.h"

namespace nest
{

//! Bounds of the weights of a model's synapses.
struct WeightBounds
{
  double Wmin = -std::numeric_limits< double >::infinity();  //!< smallest weight (mV ms)
  double Wmax = std::numeric_limits< double >::infinity();   //!< largest weight (mV ms)

  void get_status( Dictionary& d ) const;

  //! Throws BadProperty if the smallest weight would exceed the largest one.
  void set_status( const Dictionary& d, const std::string& synapse );

  //! Throws BadProperty if the weight is not allowed.
  void check( double weight, const std::string& synapse ) const;

  //! The nearest weight that is allowed.
  double
  clip( const double weight ) const
  {
    return std::min( std::max( weight, Wmin ), Wmax );
  }
};

}  // namespace nest

#endif
