/*
 *  alignment_synapse.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_ALIGNMENT_SYNAPSE_H
#define PYRAMIDAL_ALIGNMENT_SYNAPSE_H

#include <cmath>
#include <memory>
#include <string>

#include "common_synapse_properties.h"
#include "compose.hpp"
#include "connection.h"
#include "connector_model.h"
#include "event.h"
#include "kernel_manager.h"

#include "dendritic_error_archiving_node.h"
#include "packed_target.h"
#include "weight_bounds.h"

namespace nest
{

/* BeginUserDocs: synapse, plasticity

Short description
+++++++++++++++++

Synapse of feedback that aligns itself with the forward weights

Description
+++++++++++

Spikes are noisy, and the noise of a cell travels: what it sends beyond its expected rate, its innovation, moves the cells above by the
forward weights. A synapse that carries their spikes back to the dendrite of the cell correlates them with that innovation, and so
learns the transpose of the forward weights,

.. math::

   \frac{dW}{dt} = s_j \, (\eta X_i - \alpha R_i W), \qquad
   \tau_{innovation} \frac{dX_i}{dt} = -X_i + s_i - R_i,

with the spikes :math:`s_j` of the presynaptic cell, those of the postsynaptic cell :math:`s_i`, and its expected rate :math:`R_i`. Weights
decay only while both cells are active: silent cells change nothing. The steady state is
:math:`W = \eta \langle s_j X_i \rangle / (\alpha \langle s_j R_i \rangle)`, in which the activity of the postsynaptic cell cancels.

At c presynaptic spikes, X and R being those of the postsynaptic step that ends a delay before (all of it is dendritic),

.. math::

   W \leftarrow e^{-a} W + \eta X c \, \frac{1 - e^{-a}}{a}, \qquad a = \alpha R c,

clipped to [Wmin, Wmax]; they are delivered with the new weight. With tau_baseline > 0, X is less what a filter with this longer time
constant makes of the innovation: then it has no integral, and the mean rates of presynaptic cells, which know nothing of the postsynaptic one,
do not move the weight at random. Outside of the window in which the basal dendrites of the target learn, X and R
act as 0. Return to rest sets X to 0. The target filters its innovation only if such a synapse is there.

alignment_rate_synapse is the same for cells that send rates: in a step with the presynaptic rate r, c = r h. What such a cell sends beyond
its expected rate is its known noise (noise_values).

Parameters
++++++++++

Common to all synapses of a model (SetDefaults, CopyModel):

================ ========= ======== ======================================================================================
 eta              0         mV ms²   Learning rate, per spike and innovation in 1/ms
 alpha            0         ms       Rate of decay, per spike and postsynaptic rate in 1/ms
 tau_innovation   10.0      ms       Time constant of the filter; 0: none. All alignment synapses onto one cell share it
 tau_baseline     0         ms       Time constant of the baseline; 0: none. All alignment synapses onto one cell share it
 Wmin             -inf      mV ms    Smallest weight
 Wmax             inf       mV ms    Largest weight
================ ========= ======== ======================================================================================

Each connection:

======= ======= ====== ========================
 weight  1.0     mV ms  Synaptic weight
 delay   1.0     ms     Transmission delay
======= ======= ====== ========================

Transmits
+++++++++

SpikeEvent; alignment_rate_synapse: SICEvent

References
++++++++++

.. [1] Max K, Kriener L, Pineda Garcia G, Nowotny T, Jaras I, Senn W, Petrovici MA (2024). Learning efficient backprojections across
       cortical hierarchies in real time. Nature Machine Intelligence 6:619-630. https://doi.org/10.1038/s42256-024-00845-3

See also
++++++++

dendritic_error_synapse, dendritic_error_rate_synapse

EndUserDocs */

//! Properties that all synapses of one model share.
class AlignmentProperties : public CommonSynapseProperties
{
public:
  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  //! Time constant of the postsynaptic innovation (ms).
  double
  tau_innovation() const
  {
    return tau_innovation_;
  }

  double
  tau_baseline() const
  {
    return tau_baseline_;
  }

  //! Throws BadProperty if the weight is not allowed.
  void
  check_weight( const double weight, const std::string& synapse ) const
  {
    bounds_.check( weight, synapse );
  }

  //! What becomes of a weight when this number of presynaptic spikes meets the postsynaptic cell.
  double
  aligned( const double weight, const RecentInnovations::Entry& post, const double count ) const
  {
    const double a = alpha_ * post.rate * count;
    const double share = a > 0.0 ? -std::expm1( -a ) / a : 1.0;
    return bounds_.clip( weight + share * ( eta_ * post.filtered * count - a * weight ) );
  }

private:
  double eta_ = 0.0;              //!< learning rate (mV ms^2)
  double alpha_ = 0.0;            //!< rate of decay (ms)
  double tau_innovation_ = 10.0;  //!< of the filter of the innovation; 0: none (ms)
  double tau_baseline_ = 0.0;     //!< of its baseline; 0: none (ms)
  WeightBounds bounds_;
};

//! Refuse targets that have no innovation, and weights out of bounds; announce the synapse to the target.
void register_alignment_synapse( Node& target,
  size_t port,
  double weight,
  const AlignmentProperties& cp,
  const std::string& synapse );

//! Throws IllegalConnection if the target is none of our cells.
DendriticErrorArchivingNode& require_innovation( Node& target, const std::string& synapse );

class AlignmentSynapse : public Connection< PackedTarget >
{
public:
  using CommonPropertiesType = AlignmentProperties;
  using ConnectionBase = Connection< PackedTarget >;

  static constexpr ConnectionModelProperties properties = ConnectionModelProperties::HAS_DELAY
    | ConnectionModelProperties::IS_PRIMARY | ConnectionModelProperties::SUPPORTS_LBL;

  void check_connection( Node& source, Node& target, size_t receptor_type, const CommonPropertiesType& cp );

  //! Align the weight and deliver the spikes with it; leaves in the event what a weight_recorder wants to know.
  bool send( Event& e, size_t tid, const CommonPropertiesType& cp );

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  //! Called by Disconnect.
  void
  disable()
  {
    node_().unregister_alignment_synapse();
    ConnectionBase::disable();
  }

  void
  set_weight( const double weight )
  {
    weight_ = weight;
  }

private:
  class ConnTestDummyNode : public ConnTestDummyNodeBase
  {
  public:
    using ConnTestDummyNodeBase::handles_test_event;

    size_t
    handles_test_event( SpikeEvent&, size_t ) override
    {
      return invalid_port;
    }
  };

  DendriticErrorArchivingNode&
  node_() const
  {
    return *static_cast< DendriticErrorArchivingNode* >( get_target( 0 ) );
  }

  double weight_ = 1.0;  //!< W (mV ms)
};

//! Names and template parameters are those that NEST expects.
template < typename targetidentifierT >
using alignment_synapse = AlignmentSynapse;

template < typename targetidentifierT >
class alignment_rate_synapse : public Connection< targetidentifierT >
{
public:
  using CommonPropertiesType = AlignmentProperties;
  using ConnectionBase = Connection< targetidentifierT >;
  using EventType = SICEvent;

  static constexpr ConnectionModelProperties properties = ConnectionModelProperties::HAS_DELAY;

  using ConnectionBase::get_delay_steps;
  using ConnectionBase::get_rport;
  using ConnectionBase::get_target;

  std::unique_ptr< SecondaryEvent >
  get_secondary_event()
  {
    return std::make_unique< SICEvent >();
  }

  void check_connection( Node& source, Node& target, size_t receptor_type, const CommonPropertiesType& cp );

  //! Receive the rates of a slice: for each, align the weight and deliver.
  bool send( Event& e, size_t tid, const CommonPropertiesType& cp );

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  //! Called by Disconnect.
  void
  disable()
  {
    node_( 0 ).unregister_alignment_synapse();
    ConnectionBase::disable();
  }

  void
  set_weight( const double weight )
  {
    weight_ = weight;
  }

private:
  DendriticErrorArchivingNode&
  node_( const size_t tid ) const
  {
    return *static_cast< DendriticErrorArchivingNode* >( get_target( tid ) );
  }

  double weight_ = 1.0;  //!< W (mV ms)
};

template < typename targetidentifierT >
constexpr ConnectionModelProperties alignment_rate_synapse< targetidentifierT >::properties;

template < typename targetidentifierT >
void
alignment_rate_synapse< targetidentifierT >::check_connection( Node& source,
  Node& target,
  const size_t receptor_type,
  const CommonPropertiesType& cp )
{
  const std::string name =
    kernel().model_manager.get_connection_model( this->get_syn_id(), target.get_thread() ).get_name();
  require_innovation( target, name );
  SICEvent e;
  source.sends_secondary_event( e );
  e.set_sender( source );
  this->target_.set_rport( target.handles_test_event( e, receptor_type ) );
  this->target_.set_target( &target );
  register_alignment_synapse( target, get_rport(), weight_, cp, name );
}

template < typename targetidentifierT >
bool
alignment_rate_synapse< targetidentifierT >::send( Event& e, const size_t tid, const CommonPropertiesType& cp )
{
  SICEvent& rates = static_cast< SICEvent& >( e );
  DendriticErrorArchivingNode& node = node_( tid );
  const double h = Time::get_resolution().get_ms();
  long n = kernel().simulation_manager.get_slice_origin().get_steps() - kernel().connection_manager.get_min_delay();
  for ( auto it = rates.begin(); it != rates.end(); )
  {
    const double rate = rates.get_coeffvalue( it );  // advances it
    ++n;
    if ( not std::isnan( rate ) )  // NaN: nothing was sent
    {
      weight_ = cp.aligned( weight_, node.recent_innovations().seen( n, get_delay_steps() ), rate * h );
      node.receive_rate( get_rport(), n, get_delay_steps(), weight_ * rate * h );
    }
  }
  return true;
}

template < typename targetidentifierT >
void
alignment_rate_synapse< targetidentifierT >::get_status( Dictionary& d ) const
{
  ConnectionBase::get_status( d );
  d[ names::weight ] = weight_;
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

template < typename targetidentifierT >
void
alignment_rate_synapse< targetidentifierT >::set_status( const Dictionary& d, ConnectorModel& cm )
{
  const auto& cp = static_cast< const CommonPropertiesType& >( cm.get_common_properties() );
  double weight = weight_;
  if ( d.update_value( names::weight, weight ) )
  {
    cp.check_weight( weight, cm.get_name() );
  }
  ConnectionBase::set_status( d, cm );
  weight_ = weight;
}

}  // namespace nest

#endif
